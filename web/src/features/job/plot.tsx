"use client";

import "uplot/dist/uPlot.min.css";
import { useEffect, useEffectEvent, useRef, type KeyboardEvent } from "react";
import { useTranslations } from "use-intl";
import type uPlot from "uplot";
import { Chart, type Spec } from "@/features/job/chart";
import type { Line } from "@/features/job/chart-options";
import { cn } from "@/lib/cn";
import { useTheme } from "@/lib/preferences";

interface Props extends Pick<Spec, "look" | "log" | "version" | "read" | "formatX" | "formatY"> {
  title: string;
  /** Keep the same array as long as it means the same: another one builds the chart anew. */
  lines: readonly Line[];
  /** What x is, with its value: step 120. */
  nameX: (value: string) => string;
  className?: string;
}

const PAN = 0.25;
const ZOOM = 0.5;

/** A chart, its legend with the values under the cursor, and in words what it shows. */
export function Plot({ title, lines, look, log, version, read, formatX, formatY, nameX, className }: Props) {
  const t = useTranslations("job.charts");
  const theme = useTheme();
  const figure = useRef<HTMLElement>(null);
  const chart = useRef<Chart | null>(null);
  const part = (name: string) => figure.current?.querySelectorAll<HTMLElement>(`[data-part="${name}"]`) ?? [];

  const describe = (label: string, values: ArrayLike<number | null | undefined>) => {
    const known = Array.from(values).filter((value) => value !== null && value !== undefined);
    const [first, last] = [known.at(0), known.at(-1)];
    if (first === undefined || last === undefined) return null;
    const least = known.reduce((one, other) => Math.min(one, other));
    return t("line", { label, first: formatY(first), last: formatY(last), least: formatY(least) });
  };
  const readNow = useEffectEvent(read);
  const versionNow = useEffectEvent(version);
  const described = useEffectEvent((data: uPlot.AlignedData) => {
    const words = lines.map(({ label }, at) => describe(label, data[at + 1] ?? [])).filter((one) => one !== null);
    const xs = data[0];
    const range = { from: formatX(xs[0] ?? 0), to: formatX(xs[xs.length - 1] ?? 0) };
    const summary = words.length === 0 ? t("nothing", { title }) : `${t("summary", { title, ...range })} ${words.join(" ")}`;
    for (const canvas of part("canvas")) canvas.ariaLabel = summary;
  });
  const pointed = useEffectEvent((x: number | null, values: (number | null)[], byKey: boolean) => {
    const shown = values.map((value) => (value === null ? "" : formatY(value)));
    [...part("value")].forEach((place, at) => (place.textContent = shown[at] ?? ""));
    for (const place of part("x")) place.textContent = x === null ? "" : nameX(formatX(x));
    if (!byKey || x === null) return;
    const said = lines.map(({ label }, at) => shown[at] && `${label} ${shown[at]}`).filter(Boolean);
    for (const place of part("said")) place.textContent = `${nameX(formatX(x))}: ${said.join(", ")}`;
  });

  useEffect(() => {
    const host = figure.current?.querySelector<HTMLElement>('[data-part="canvas"]');
    if (!host) return undefined;
    const made = new Chart(host, {
      ...{ lines, look, log, formatX, formatY },
      version: () => versionNow(),
      read: () => readNow(),
      onDraw: (data) => described(data),
      onCursor: (x, values, byKey) => pointed(x, values, byKey),
    });
    chart.current = made;
    return () => made.dispose();
  }, [lines, look, log, formatX, formatY, theme]);

  const onKeyDown = (event: KeyboardEvent) => {
    const acts: Record<string, () => void> = {
      ArrowLeft: () => (event.shiftKey ? look.pan(-PAN) : chart.current?.step(-1)),
      ArrowRight: () => (event.shiftKey ? look.pan(PAN) : chart.current?.step(1)),
      "+": () => look.zoom(ZOOM),
      "-": () => look.zoom(1 / ZOOM),
      "0": () => look.show(undefined),
    };
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  return (
    <figure ref={figure} className={cn("flex min-w-0 flex-col gap-1", className)}>
      <figcaption className="flex min-h-6 flex-wrap items-baseline gap-x-4 gap-y-0.5 text-xs text-muted">
        <span className="text-sm font-medium text-text">{title}</span>
        {lines.map((line, at) => (
          <span key={at} className="inline-flex items-baseline gap-1.5">
            {lines.length > 1 && <Swatch line={line} />}
            {lines.length > 1 && line.label}
            <span data-part="value" className="inline-block min-w-14 text-text" />
          </span>
        ))}
        <span data-part="x" className="ml-auto" />
      </figcaption>
      <div
        data-part="canvas"
        role="img"
        aria-label={title}
        tabIndex={0}
        onKeyDown={onKeyDown}
        className="h-44 w-full overflow-hidden rounded-lg [&_.u-select]:bg-accent/15"
      />
      <p data-part="said" aria-live="polite" className="sr-only" />
    </figure>
  );
}

/** A line as it is drawn, for the legend. */
export function Swatch({ line }: { line: Omit<Line, "label"> }) {
  return (
    <svg aria-hidden viewBox="0 0 22 6" className={cn("h-1.5 w-5.5 shrink-0 self-center", line.faint && "opacity-50")}>
      <line
        x1="0"
        y1="3"
        x2="22"
        y2="3"
        stroke={`var(--chart-${line.colour})`}
        strokeWidth={line.faint ? 1.5 : 2.5}
        strokeDasharray={line.dash?.join(" ")}
      />
    </svg>
  );
}
