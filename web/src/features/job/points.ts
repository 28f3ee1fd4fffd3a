import { placeOf } from "@/features/job/series";
import type { Schemas } from "@/lib/api";

export const MEASURES = ["loss", "learning_rate", "grad_norm", "tokens_per_second", "memory"] as const;
/** What a curve can be drawn over. Seconds and tokens are those of all steps so far. */
export const AXES = ["step", "seconds", "tokens"] as const;
const COLUMNS = [...AXES, ...MEASURES];

export type Measure = (typeof MEASURES)[number];
export type Axis = (typeof AXES)[number];
export type Point = Record<Measure | Axis, number>;

/** Steps of a run as columns of numbers. When they are full they are thinned, and go on. */
export class Points {
  size = 0;
  private readonly columns: Record<Measure | Axis, Float64Array>;

  constructor(private readonly capacity: number) {
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(capacity)])) as typeof this.columns;
  }

  static of(steps: readonly Schemas["MetricPoint"][], room = 0): Points {
    const points = new Points(steps.length + room);
    for (const step of steps) points.push(step);
    return points;
  }

  push(point: Point): void {
    if (this.size === this.capacity) this.thin();
    for (const name of COLUMNS) this.columns[name][this.size] = point[name];
    this.size += 1;
  }

  /** A column as far as it is filled: a window on it, not a copy. */
  column(name: Measure | Axis): Float64Array {
    return this.columns[name].subarray(0, this.size);
  }

  last(name: Measure | Axis): number | undefined {
    return this.column(name).at(-1);
  }

  /** Forget the steps after `step`. */
  cut(step: number): void {
    this.size = placeOf(step + 1, this.column("step"));
  }

  /** Keep half: of each stretch of steps the lowest and the highest loss, as the server does, and the two ends. */
  private thin(): void {
    const stretches = Math.floor(this.capacity / 4) - 1;
    const first = this.column("step").at(0) ?? 0;
    const width = ((this.last("step") ?? 0) + 1 - first) / stretches;
    const loss = this.column("loss");
    const lossAt = (place: number) => loss[place] ?? 0;
    const extremes = new Map<number, { lowest: number; highest: number }>();
    this.column("step").forEach((step, at) => {
      const stretch = Math.floor((step - first) / width);
      const { lowest, highest } = extremes.get(stretch) ?? { lowest: at, highest: at };
      extremes.set(stretch, {
        lowest: lossAt(at) < lossAt(lowest) ? at : lowest,
        highest: lossAt(at) > lossAt(highest) ? at : highest,
      });
    });
    const kept = new Set([0, this.size - 1, ...[...extremes.values()].flatMap(({ lowest, highest }) => [lowest, highest])]);
    const places = [...kept].sort((one, other) => one - other);
    for (const column of Object.values(this.columns)) column.set(places.map((place) => column[place] ?? 0));
    this.size = places.length;
  }
}
