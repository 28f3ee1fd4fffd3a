import type uPlot from "uplot";

/** A line before it shares its x with others. */
export interface Series {
  x: Float64Array;
  y: Float64Array;
}

/**
 * The exponential moving average of the points, its start corrected as TensorBoard does: `weight` 0 leaves them alone,
 * 0.99 keeps little of each. Every point counts once, so that a thinned curve looks as smooth as a full one.
 */
export function smooth(values: Float64Array, weight: number): Float64Array {
  let last = 0;
  let share = 1;
  return values.map((value) => {
    last = last * weight + (1 - weight) * value;
    share *= weight;
    return last / (1 - share);
  });
}

/** Lines with x of their own as one table: all x in order, and null where a line has no point. */
export function join(lines: readonly Series[]): uPlot.AlignedData {
  const all = Float64Array.from(lines.flatMap(({ x }) => Array.from(x))).sort();
  const xs = all.filter((x, at) => at === 0 || x !== all[at - 1]);
  return [xs, ...lines.map((line) => spread(line, xs))];
}

function spread({ x, y }: Series, xs: Float64Array): (number | null)[] {
  const values = new Array<number | null>(xs.length).fill(null);
  let at = 0;
  x.forEach((own, from) => {
    while (xs[at] !== own) at++;
    values[at] = y[from] ?? null;
  });
  return values;
}

/** The first place whose value is not below `value`, in numbers that only grow. */
export function placeOf(value: number, values: Float64Array): number {
  let [from, to] = [0, values.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((values[middle] ?? Infinity) < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
