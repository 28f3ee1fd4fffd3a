"use client";

import { useEffect, useMemo } from "react";
import { useTranslations } from "use-intl";
import type { Line } from "@/features/job/chart-options";
import type { Curves } from "@/features/job/curves";
import type { Look } from "@/features/job/look";
import { Plot } from "@/features/job/plot";
import type { Measure } from "@/features/job/points";
import { join, smooth } from "@/features/job/series";
import { Card } from "@/components/page";
import { useFormat, type Format } from "@/lib/use-format";

interface Props {
  curves: Curves;
  look: Look;
  log: boolean;
  /** 0 to 0.99 */
  smoothing: number;
}

const BESIDES = ["learning_rate", "grad_norm", "tokens_per_second", "memory"] as const satisfies Measure[];
const COLOURS: Record<(typeof BESIDES)[number], number> = { learning_rate: 3, grad_norm: 4, tokens_per_second: 6, memory: 5 };

/** The curves of one job under one another: one cursor, one stretch. */
export function Charts({ curves, look, log, smoothing }: Props) {
  const t = useTranslations("job.charts");
  const format = useFormat();
  const { formatX, formatOf } = useMemo(() => makeAxes(format), [format]);
  const losses = useMemo<Line[]>(
    () => [
      { label: t("raw"), colour: 1, faint: true },
      { label: t("smoothed"), colour: 1 },
      { label: t("validation"), colour: 2, dash: [6, 4], marks: true },
    ],
    [t],
  );
  const besides = useMemo(
    () => BESIDES.map((measure) => ({ measure, lines: [{ label: t(measure), colour: COLOURS[measure] }] })),
    [t],
  );
  useEffect(() => look.draw(), [look, smoothing]);
  const shared = { look, formatX, nameX: (value: string) => t("at", { step: value }) };
  return (
    <div className="grid grid-cols-1 gap-4 lg:grid-cols-2">
      <Card className="p-4 lg:col-span-2">
        <Plot
          {...shared}
          title={t("lossTitle")}
          lines={losses}
          log={log}
          formatY={formatOf.loss}
          version={() => `${curves.version} ${smoothing}`}
          read={() => {
            const raw = curves.read("loss");
            return join([raw, { x: raw.x, y: smooth(raw.y, smoothing) }, curves.readEvaluations()]);
          }}
          className="[&_[data-part=canvas]]:h-72"
        />
      </Card>
      {besides.map(({ measure, lines }) => (
        <Card key={measure} className="p-4">
          <Plot
            {...shared}
            title={t(measure)}
            lines={lines}
            log={log && measure === "grad_norm"}
            formatY={formatOf[measure]}
            version={() => `${curves.version}`}
            read={() => join([curves.read(measure)])}
          />
        </Card>
      ))}
      <p className="text-xs leading-relaxed text-muted max-md:hidden lg:col-span-2">{t("help")}</p>
    </div>
  );
}

/** How the numbers of the axes are written: steps are whole. */
export function makeAxes(format: Format) {
  const formatX = (step: number) => (Number.isInteger(step) ? format.number(step) : "");
  const formatOf: Record<Measure, (value: number) => string> = {
    loss: format.figure,
    learning_rate: format.figure,
    grad_norm: format.figure,
    tokens_per_second: format.figure,
    memory: format.bytes,
  };
  return { formatX, formatOf };
}
