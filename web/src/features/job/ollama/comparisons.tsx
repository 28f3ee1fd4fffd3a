"use client";

import { CheckIcon, MinusIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import type { Line } from "@/features/job/ollama/queries";
import { cn } from "@/lib/cn";

const NOISE = "_noise";

/** Each comparison: what was measured as a bar, its limit as a line, the engine's own noise as a dot. */
export function Comparisons({ lines }: { lines: Line[] }) {
  const t = useTranslations("job.certificate");
  const noiseOf = (line: Line) => lines.find(({ what }) => what === line.what + NOISE)?.measured ?? null;
  const judged = lines.filter(({ verdict }) => verdict === "ok" || verdict === "broken");
  const told = lines.filter(({ what, verdict }) => verdict === "reported" && !what.endsWith(NOISE));
  const skipped = lines.filter(({ verdict }) => verdict === "skipped");
  return (
    <section className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-1">
        <h4 className="text-sm font-medium">{t("comparisons")}</h4>
        <Legend />
      </div>
      <ul className="flex flex-col divide-y divide-line border-y border-line">
        {judged.map((line) => (
          <Judged key={line.what} line={line} noise={noiseOf(line)} />
        ))}
        {told.map((line) => (
          <Plain key={line.what} line={line} />
        ))}
        {skipped.map((line) => (
          <Plain key={line.what} line={line} muted />
        ))}
      </ul>
      <p className="text-xs text-muted">{t("unit")}</p>
    </section>
  );
}

function Judged({ line, noise }: { line: Line; noise: number | null }) {
  const t = useTranslations("job.certificate");
  const broken = line.verdict === "broken";
  const Icon = broken ? TriangleAlertIcon : CheckIcon;
  return (
    <li className="grid gap-x-6 gap-y-1.5 py-3 text-sm md:grid-cols-[minmax(0,1fr)_minmax(0,1fr)] md:items-center">
      <p className="flex items-start gap-2">
        <Icon role="img" aria-label={broken ? t("above") : t("within")} className={cn("mt-1 size-4 shrink-0", broken ? "text-bad" : "text-good")} />
        {line.title}
      </p>
      <div className="flex flex-col gap-1">
        <Bar line={line} noise={noise} />
        <p className="flex flex-wrap justify-between gap-x-4 text-xs text-muted">
          <span className={cn(broken && "font-medium text-bad")}>{line.measured_text}</span>
          <span>{line.measure !== "same" && t("limit", { limit: line.limit_text })}</span>
        </p>
      </div>
    </li>
  );
}

function Plain({ line, muted }: { line: Line; muted?: boolean }) {
  return (
    <li className={cn("grid gap-x-6 gap-y-1 py-3 text-sm md:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]", muted && "text-muted")}>
      <p className="flex items-start gap-2">
        <MinusIcon aria-hidden className="mt-1 size-4 shrink-0 text-muted" />
        {line.title}
      </p>
      <p className="text-xs text-muted md:py-0.5">{line.measured_text}</p>
    </li>
  );
}

/** Where the limit of a difference stands: there is room to see how far above it something is. */
const LIMIT_AT = 70;

/** The numbers stand below it as text. */
function Bar({ line: { measure, measured, limit, verdict }, noise }: { line: Line; noise: number | null }) {
  if (measure === "same" || measured === null || limit === null) return null;
  const place = (value: number) => Math.max(0, Math.min(100, measure === "least" ? value * 100 : (value / limit) * LIMIT_AT));
  return (
    <div aria-hidden className="relative h-4">
      <div className="absolute inset-x-0 top-1 h-2 overflow-hidden rounded-full bg-sunken">
        <div
          className={cn("h-full rounded-full", verdict === "broken" ? "bg-bad" : "bg-good")}
          style={{ width: `max(${place(measured)}%, 3px)` }}
        />
      </div>
      <div className="absolute inset-y-0 w-0.5 bg-text" style={{ left: `${place(limit)}%` }} />
      {noise !== null && (
        <div
          className="absolute top-1/2 size-2.5 -translate-x-1/2 -translate-y-1/2 rounded-full border-2 border-surface bg-[var(--chart-2)]"
          style={{ left: `${place(noise)}%` }}
        />
      )}
    </div>
  );
}

function Legend() {
  const t = useTranslations("job.certificate.legend");
  return (
    <ul className="flex flex-wrap gap-x-4 text-xs text-muted">
      <li className="flex items-center gap-1.5">
        <span aria-hidden className="h-2 w-5 rounded-full bg-good" />
        {t("measured")}
      </li>
      <li className="flex items-center gap-1.5">
        <span aria-hidden className="h-3.5 w-0.5 bg-text" />
        {t("limit")}
      </li>
      <li className="flex items-center gap-1.5">
        <span aria-hidden className="size-2 rounded-full bg-[var(--chart-2)]" />
        {t("noise")}
      </li>
    </ul>
  );
}
