import type uPlot from "uplot";
import type { Spec } from "@/features/job/chart";

export interface Line {
  label: string;
  /** Of `--chart-1` … `--chart-6`. */
  colour: number;
  /** Lengths of strokes and gaps: colour alone says nothing. */
  dash?: number[];
  /** In the background of another line. */
  faint?: boolean;
  /** A mark at each point: there are few. */
  marks?: boolean;
}

const WIDTH = 1.75;
const FAINT = "80"; // of opacity, in hexadecimal
const AXIS_SPACE = { x: 70, y: 34 };
const LEAST_DRAG = 6;

/** How uPlot draws a chart of ours, in the colours of the theme at hand. */
export function chartOptions(
  { rangeLog }: typeof uPlot,
  spec: Spec,
  onCursor: (plot: uPlot) => void,
): Omit<uPlot.Options, "width" | "height"> {
  const { lines, look, log, formatX, formatY } = spec;
  const colours = getComputedStyle(document.documentElement);
  const colour = (name: string) => colours.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("muted"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: colour("chart-grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    legend: { show: false },
    padding: [8, 12, 0, 0],
    scales: { x: { time: false }, y: log ? { distr: 3, range: (_, least, most) => rangeLog(least, most, 10, false) } : { range: around } },
    axes: [
      { ...axis, space: AXIS_SPACE.x, size: 28, values: (_, splits) => splits.map(formatX) },
      { ...axis, space: AXIS_SPACE.y, size: 64, values: (_, splits) => splits.map((value) => (value === null ? "" : formatY(value))) },
    ],
    series: [{}, ...lines.map((line) => seriesOf(line, colour))],
    cursor: {
      y: false,
      points: { size: 7 },
      hover: { skip: [null, undefined] },
      drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG },
      sync: { key: look.key, setSeries: false, filters: { pub: (kind) => kind === "mousemove" || kind === "mouseleave" } },
      bind: {
        mousedown: (_, _target, handler) => (event) => (event.shiftKey ? null : handler(event)), // shift pans: see gestures
        dblclick: () => () => {
          look.show(undefined);
          return null;
        },
      },
    },
    hooks: {
      setCursor: [onCursor],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < LEAST_DRAG) return;
          look.show([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function seriesOf({ colour: number, dash, faint, marks }: Line, colour: (name: string) => string): uPlot.Series {
  const stroke = colour(`chart-${number}`);
  return {
    stroke: faint ? stroke + FAINT : stroke,
    width: faint ? 1 : WIDTH,
    dash,
    spanGaps: true,
    points: { show: marks || undefined, size: 5, fill: stroke },
  };
}

/** Some air above and below; a flat line in the middle. */
function around(_: uPlot, least: number | null, most: number | null): uPlot.Range.MinMax {
  if (least === null || most === null) return [0, 1];
  const air = (most - least) * 0.06 || Math.abs(most) * 0.1 || 1;
  return [least - air, most + air];
}
