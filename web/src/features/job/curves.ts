import { Points, type Axis, type Measure } from "@/features/job/points";
import type { Metrics } from "@/features/job/queries";
import { placeOf, type Series } from "@/features/job/series";
import type { Bodies, LiveEvent } from "@/lib/live";

/** Steps that may come before the curves are thinned. */
const ROOM = 2000;
const TELL_EVERY_MS = 250;

/**
 * The curves of a job, outside of React: loaded thinned, then prolonged by each event.
 *
 * However fast events come, listeners are told at most four times a second; what they read is then as new as it gets.
 */
export class Curves {
  /** Changes whenever what is read changes. */
  version = 0;
  evaluations: Metrics["evaluations"] = [];
  /** The last step that the live stream told. */
  latest: Bodies["step"] | undefined;
  private points = new Points(0);
  private detail: { first: number; last: number; points: Points } | undefined;
  private total = 0;
  private earlierSeconds = 0;
  private told = 0;
  private telling: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();

  load(metrics: Metrics): void {
    this.points = Points.of(metrics.steps, ROOM);
    this.evaluations = metrics.evaluations;
    this.total = metrics.total;
    this.earlierSeconds = metrics.earlier_seconds;
    this.detail = undefined;
    this.changed();
  }

  /** Between these steps, what `metrics` says; nothing takes it away again. */
  refine(stretch?: { first: number; last: number; metrics: Metrics }): void {
    if (!stretch && !this.detail) return;
    this.detail = stretch && { ...stretch, points: Points.of(stretch.metrics.steps) };
    this.changed();
  }

  hear(event: LiveEvent): void {
    if (event.kind === "step") this.add(event.body);
    else if (event.kind === "evaluated") this.evaluated(event.body);
    else if (event.kind === "rewound") this.cut(event.body.step);
  }

  /** Whether steps are left out for want of pixels. */
  get thinned(): boolean {
    return this.total > this.points.size;
  }

  get empty(): boolean {
    return this.points.size === 0;
  }

  /** The ends of an axis; a run of one step has some room around it. */
  extent(axis: Axis): [number, number] {
    const values = this.points.column(axis);
    const [first, last] = [values.at(0) ?? 0, values.at(-1) ?? 1];
    return first < last ? [first, last] : [first - 1, last + 1];
  }

  read(measure: Measure, axis: Axis = "step"): Series {
    return { x: this.column(axis), y: this.column(measure) };
  }

  readEvaluations(axis: Axis = "step"): Series {
    const x = Float64Array.from(this.evaluations, ({ step }) => this.placeOn(axis, step));
    return { x, y: Float64Array.from(this.evaluations, ({ loss }) => loss) };
  }

  /** Be told when there is something new, until the returned function is called. */
  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private column(name: Measure | Axis): Float64Array {
    const whole = this.points.column(name);
    if (!this.detail) return whole;
    const steps = this.points.column("step");
    const { first, last, points } = this.detail;
    const [before, after] = [placeOf(first, steps), placeOf(last + 1, steps)];
    return Float64Array.from([...whole.subarray(0, before), ...points.column(name), ...whole.subarray(after)]);
  }

  private placeOn(axis: Axis, step: number): number {
    if (axis === "step") return step;
    const at = placeOf(step, this.points.column("step"));
    return this.points.column(axis)[at] ?? this.points.last(axis) ?? 0;
  }

  private add(step: Bodies["step"]): void {
    const lastStep = this.points.last("step");
    if (lastStep !== undefined && step.step <= lastStep) return; // it was already in what was loaded
    const seconds = this.points.last("seconds") ?? 0;
    if (step.seconds < seconds - this.earlierSeconds) this.earlierSeconds = seconds; // another attempt began its clock
    this.points.push({
      ...step,
      tokens: (this.points.last("tokens") ?? 0) + step.tokens,
      seconds: this.earlierSeconds + step.seconds,
    });
    this.total += 1;
    this.latest = step;
    this.changed();
  }

  private evaluated({ step, loss, best }: Bodies["evaluated"]): void {
    this.evaluations = [...this.evaluations.filter((one) => one.step < step), { step, loss, best }];
    this.changed();
  }

  private cut(step: number): void {
    this.points.cut(step);
    this.detail?.points.cut(step);
    this.evaluations = this.evaluations.filter((one) => one.step <= step);
    this.total = Math.min(this.total, Math.max(step, 0));
    this.latest = undefined;
    this.changed();
  }

  private changed(): void {
    this.version += 1;
    const wait = Math.max(0, this.told + TELL_EVERY_MS - performance.now());
    this.telling ??= setTimeout(() => this.tell(), wait);
  }

  private tell(): void {
    this.telling = undefined;
    this.told = performance.now();
    for (const listener of this.listeners) listener();
  }
}
