import type uPlot from "uplot";
import { chartOptions, type Line } from "@/features/job/chart-options";
import { explore } from "@/features/job/gestures";
import type { Look } from "@/features/job/look";

export interface Spec {
  lines: readonly Line[];
  look: Look;
  log: boolean;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  /** Changes with what `read` gives. */
  version: () => string;
  read: () => uPlot.AlignedData;
  /** Hear the data when they are drawn, for words about them. */
  onDraw: (data: uPlot.AlignedData) => void;
  /** Hear the values under the cursor, of each line; null where there is none. `byKey`: it was moved by a key. */
  onCursor: (x: number | null, values: (number | null)[], byKey: boolean) => void;
}

type Move = (to: { left: number; top: number }, fire: boolean, publish: boolean) => void;

/** uPlot, loaded when the first chart is near. */
export const engine = () => import("uplot");

/** One chart on a canvas, drawn when its look says so and while it is in sight. */
export class Chart {
  private plot: uPlot | undefined;
  private version = "";
  private inSight = true;
  private byKey = false;
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly spec: Spec,
  ) {
    let over = false;
    this.ends.push(() => (over = true));
    void engine().then((loaded) => !over && this.begin(loaded.default));
  }

  dispose(): void {
    for (const end of this.ends) end();
  }

  /** Move the cursor to another point; from where there is none, to the last. */
  step(by: number): void {
    const { plot } = this;
    if (!plot) return;
    const xs = plot.data[0];
    const [from, to] = this.spec.look.shown;
    const at = plot.cursor.idx ?? xs.length;
    const next = Math.min(Math.max(at + by, plot.valToIdx(from)), plot.valToIdx(to));
    const left = Math.min(Math.max(plot.valToPos(xs[next] ?? to, "x"), 0), plot.over.clientWidth - 1);
    this.byKey = true;
    // its third argument, which the types leave out: have the other charts of the page follow
    (plot.setCursor as Move)({ left, top: plot.over.clientHeight / 2 }, true, true);
    this.byKey = false;
  }

  private begin(UPlot: typeof uPlot): void {
    const { spec, host } = this;
    const size = { width: host.clientWidth, height: host.clientHeight };
    const cursor = (plot: uPlot) => this.tellCursor(plot);
    const plot = new UPlot({ ...size, ...chartOptions(UPlot, spec, cursor) }, undefined, host);
    this.plot = plot;
    const resized = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: host.clientHeight }));
    resized.observe(host);
    const seen = new IntersectionObserver((entries) => {
      this.inSight = entries.at(-1)?.isIntersecting ?? true;
      this.draw();
    });
    seen.observe(host);
    this.ends.push(explore(plot, spec.look), spec.look.join(() => this.draw()));
    this.ends.push(() => resized.disconnect(), () => seen.disconnect(), () => plot.destroy());
    this.draw();
  }

  private draw(): void {
    const { plot, spec } = this;
    if (!plot || !this.inSight) return;
    const [min, max] = spec.look.shown;
    const version = spec.version();
    const fresh = version !== this.version;
    this.version = version;
    plot.batch(() => {
      if (fresh) plot.setData(spec.read(), false);
      plot.setScale("x", { min, max });
    });
    if (!fresh) return;
    spec.onDraw(plot.data);
    this.tellCursor(plot);
  }

  private tellCursor(plot: uPlot): void {
    const { idx, idxs } = plot.cursor;
    const values = plot.series.slice(1).map((_, at) => valueAt(plot.data[at + 1], idxs?.[at + 1] ?? null));
    this.spec.onCursor(valueAt(plot.data[0], idx ?? null), values, this.byKey);
  }
}

function valueAt(values: ArrayLike<number | null | undefined> | undefined, at: number | null): number | null {
  return at === null ? null : (values?.[at] ?? null);
}
