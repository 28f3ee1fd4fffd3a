interface Props {
  /** What the line shows, in words: the picture alone says nothing to who cannot see it. */
  label: string;
  points: { x: number; y: number }[];
}

const WIDTH = 96;
const HEIGHT = 28;
const MARGIN = 2;

/** A curve of the size of a word: its shape, without axes. */
export function Sparkline({ label, points }: Props) {
  const [x, y] = [scale(points.map((one) => one.x), MARGIN, WIDTH - MARGIN), scale(points.map((one) => one.y), HEIGHT - MARGIN, MARGIN)];
  const placed = points.map((one) => `${x(one.x).toFixed(1)},${y(one.y).toFixed(1)}`);
  const last = points.at(-1);
  return (
    <svg role="img" aria-label={label} width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="overflow-visible">
      <polyline points={placed.join(" ")} fill="none" stroke="var(--chart-1)" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" />
      {last && <circle cx={x(last.x)} cy={y(last.y)} r="2" fill="var(--chart-1)" />}
    </svg>
  );
}

/** From the range of the values to `from` … `to`; what does not vary lies in the middle. */
function scale(values: number[], from: number, to: number): (value: number) => number {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return (value) => (most > least ? from + ((value - least) / (most - least)) * (to - from) : (from + to) / 2);
}
