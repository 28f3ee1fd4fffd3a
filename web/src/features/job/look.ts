export type Range = readonly [from: number, to: number];

const NARROWEST = 1e-4; // of the whole

/** Which part of the run the charts of a page show: all the same. It stays while data arrives. */
export class Look {
  /** Undefined: the whole run, as long as it gets. */
  range: Range | undefined;
  private frame = 0;
  private readonly charts = new Set<() => void>();
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly key: string,
    private readonly whole: () => Range,
    range?: Range,
  ) {
    this.range = range;
  }

  get shown(): Range {
    return this.range ?? this.whole();
  }

  show(range: Range | undefined): void {
    this.range = range && this.within(range);
    for (const changed of this.watchers) changed();
    this.draw();
  }

  /** Half the width is 0.5; `at` stays where it is. */
  zoom(factor: number, at?: number): void {
    const [from, to] = this.shown;
    const still = at ?? (from + to) / 2;
    this.show([still - (still - from) * factor, still + (to - still) * factor]);
  }

  /** By a share of what is shown. */
  pan(share: number): void {
    if (!this.range) return;
    const [from, to] = this.range;
    const by = (to - from) * share;
    this.show([from + by, to + by]);
  }

  /** Have all charts drawn with the next frame. */
  draw = (): void => {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const draw of this.charts) draw();
    });
  };

  /** Be drawn, until the returned function is called. */
  join(draw: () => void): () => void {
    this.charts.add(draw);
    return () => this.charts.delete(draw);
  }

  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };

  private within([from, to]: Range): Range | undefined {
    const [first, last] = this.whole();
    const width = Math.max(to - from, (last - first) * NARROWEST);
    if (width >= last - first) return undefined;
    const start = Math.min(Math.max(from, first), last - width);
    return [start, start + width];
  }
}
