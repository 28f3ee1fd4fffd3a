"use client";

import { useEffect, useMemo } from "react";
import { useTranslations } from "use-intl";
import { ChartTools } from "@/features/job/chart-tools";
import { makeAxes } from "@/features/job/charts";
import type { Known } from "@/features/job/compare/compared";
import { Look } from "@/features/job/look";
import { Plot } from "@/features/job/plot";
import { AXES, type Axis } from "@/features/job/points";
import { join, smooth, type Series } from "@/features/job/series";
import { useDrawing } from "@/features/job/use-drawing";
import { Card } from "@/components/page";
import { Segments } from "@/components/ui/segments";
import { useFormat } from "@/lib/use-format";
import { useParam } from "@/lib/use-param";

const CURVES = ["loss", "validation", "learning_rate", "grad_norm", "tokens_per_second"] as const;
type Curve = (typeof CURVES)[number];

/** The same curve of all jobs, over steps, time or tokens. */
export function Overlay({ all }: { all: Known[] }) {
  const t = useTranslations("job.charts");
  const [curveParam, setCurve] = useParam("curve");
  const [axisParam, setAxis] = useParam("x");
  const { log, smoothing, tools } = useDrawing();
  const curve = CURVES.find((one) => one === curveParam) ?? "loss";
  const axis = AXES.find((one) => one === axisParam) ?? "step";
  const look = useSharedLook(all, axis);
  const lines = useMemo(() => all.map(({ job, line }) => ({ label: job.name, ...line, marks: curve === "validation" })), [all, curve]);
  const { formatX, formatY, nameX } = useAxes(axis, curve);
  useEffect(() => look.draw(), [look, smoothing]);
  return (
    <Card className="flex flex-col gap-4 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <Segments
          label={t("curve")}
          value={curve}
          onChange={(chosen) => setCurve(chosen === "loss" ? null : chosen)}
          options={CURVES.map((value) => ({ value, label: t(value) }))}
        />
        <AxisChoice value={axis} onChange={(chosen) => setAxis(chosen === "step" ? null : chosen)} />
      </div>
      <ChartTools look={look} formatX={formatX} {...tools} />
      <Plot
        title={t(curve)}
        lines={lines}
        look={look}
        log={log}
        formatX={formatX}
        formatY={formatY}
        nameX={nameX}
        version={() => `${curve} ${axis} ${smoothing} ${all.map(({ curves }) => curves.version).join()}`}
        read={() => join(all.map((one) => readOf(one, curve, axis, smoothing)))}
        className="[&_[data-part=canvas]]:h-88"
      />
      <p className="text-xs leading-relaxed text-muted max-md:hidden">{t("help")}</p>
    </Card>
  );
}

function AxisChoice({ value, onChange }: { value: Axis; onChange: (axis: Axis) => void }) {
  const t = useTranslations("compare");
  const options = AXES.map((axis) => ({ value: axis, label: t(`axes.${axis}`) }));
  return <Segments label={t("axis")} value={value} onChange={onChange} options={options} />;
}

function readOf({ curves }: Known, curve: Curve, axis: Axis, smoothing: number): Series {
  if (curve === "validation") return curves.readEvaluations(axis);
  const { x, y } = curves.read(curve, axis);
  return { x, y: curve === "loss" ? smooth(y, smoothing) : y };
}

/** From the first to the last of all of them. */
function useSharedLook(all: Known[], axis: Axis): Look {
  const look = useMemo(() => {
    const ends = () => all.filter(({ curves }) => !curves.empty).map(({ curves }) => curves.extent(axis));
    return new Look(`compare ${axis}`, () => {
      const known = ends();
      return known.length === 0 ? [0, 1] : [Math.min(...known.map(([from]) => from)), Math.max(...known.map(([, to]) => to))];
    });
  }, [all, axis]);
  useEffect(() => {
    const forget = all.map(({ curves }) => curves.subscribe(look.draw));
    return () => forget.forEach((one) => one());
  }, [all, look]);
  return look;
}

function useAxes(axis: Axis, curve: Curve) {
  const t = useTranslations("compare");
  const format = useFormat();
  return useMemo(() => {
    const { formatX, formatOf } = makeAxes(format);
    const whole = (value: number) => format.number(Math.round(value));
    const formatAxis = { step: formatX, seconds: format.duration, tokens: whole };
    return { formatX: formatAxis[axis], formatY: formatOf[curve === "validation" ? "loss" : curve], nameX: (value: string) => t(`at.${axis}`, { value }) };
  }, [t, format, axis, curve]);
}
