"use client";

import { ChevronLeftIcon, ChevronRightIcon, Maximize2Icon, ZoomInIcon, ZoomOutIcon } from "lucide-react";
import { useSyncExternalStore, type ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Look } from "@/features/job/look";
import { Button } from "@/components/ui/button";
import { Segments } from "@/components/ui/segments";
import { Tooltip } from "@/components/ui/tooltip";
import { useFormat } from "@/lib/use-format";

const PAN = 0.25;
const ZOOM = 0.5;

interface Props {
  look: Look;
  formatX: (value: number) => string;
  log: boolean;
  onLog: (log: boolean) => void;
  smoothing: number;
  onSmoothing: (weight: number) => void;
  /** The slider has been let go. */
  onSmoothed: () => void;
}

/** How the curves are drawn, and which part of them. */
export function ChartTools({ look, formatX, log, onLog, smoothing, onSmoothing, onSmoothed }: Props) {
  const t = useTranslations("job.charts");
  return (
    <div className="flex flex-wrap items-center gap-x-5 gap-y-2 text-sm">
      <Smoothing value={smoothing} onChange={onSmoothing} onDone={onSmoothed} />
      <Segments
        label={t("scale")}
        value={log ? "log" : "linear"}
        onChange={(value) => onLog(value === "log")}
        options={[
          { value: "linear", label: t("linear") },
          { value: "log", label: t("log") },
        ]}
      />
      <Around look={look} formatX={formatX} />
    </div>
  );
}

interface SmoothingProps {
  value: number;
  onChange: (weight: number) => void;
  onDone: () => void;
}

function Smoothing({ value, onChange, onDone }: SmoothingProps) {
  const t = useTranslations("job.charts");
  const format = useFormat();
  return (
    <label className="flex items-center gap-2 text-muted">
      {t("smoothing")}
      <input
        type="range"
        min={0}
        max={0.99}
        step={0.01}
        value={value}
        onChange={(event) => onChange(event.target.valueAsNumber)}
        onPointerUp={onDone}
        onKeyUp={onDone}
        className="h-6 w-24 accent-accent"
      />
      <span className="w-8 text-text">{format.number(value, { maximumFractionDigits: 2 })}</span>
    </label>
  );
}

function Around({ look, formatX }: Pick<Props, "look" | "formatX">) {
  const t = useTranslations("job.charts");
  const range = useSyncExternalStore(look.watch, () => look.range, () => look.range);
  return (
    <div role="group" aria-label={t("stretch")} className="flex items-center">
      <span className="w-28 truncate pr-2 sm:w-36 sm:text-right text-xs text-muted">{range ? t("shown", { from: formatX(Math.round(range[0])), to: formatX(Math.round(range[1])) }) : t("all")}</span>
      <Tool label={t("earlier")} disabled={!range} onClick={() => look.pan(-PAN)}>
        <ChevronLeftIcon aria-hidden />
      </Tool>
      <Tool label={t("later")} disabled={!range} onClick={() => look.pan(PAN)}>
        <ChevronRightIcon aria-hidden />
      </Tool>
      <Tool label={t("zoomIn")} onClick={() => look.zoom(ZOOM)}>
        <ZoomInIcon aria-hidden />
      </Tool>
      <Tool label={t("zoomOut")} disabled={!range} onClick={() => look.zoom(1 / ZOOM)}>
        <ZoomOutIcon aria-hidden />
      </Tool>
      <Tool label={t("whole")} disabled={!range} onClick={() => look.show(undefined)}>
        <Maximize2Icon aria-hidden />
      </Tool>
    </div>
  );
}

function Tool({ label, children, ...props }: { label: string; disabled?: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <Tooltip text={label}>
      <Button variant="ghost" size="icon" aria-label={label} {...props}>
        {children}
      </Button>
    </Tooltip>
  );
}
