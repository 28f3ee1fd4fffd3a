"use client";

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslations } from "use-intl";
import { engine } from "@/features/job/chart";
import { ChartTable } from "@/features/job/chart-table";
import { ChartTools } from "@/features/job/chart-tools";
import { Charts, makeAxes } from "@/features/job/charts";
import { Look, type Range } from "@/features/job/look";
import { FINAL, metricsQuery, type Job } from "@/features/job/queries";
import { useCurveValue, useDetail } from "@/features/job/use-curves";
import { useDrawing } from "@/features/job/use-drawing";
import type { Curves } from "@/features/job/curves";
import { Segments } from "@/components/ui/segments";
import { ErrorNote } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { useFormat } from "@/lib/use-format";
import { useParam } from "@/lib/use-param";

const SETTLED_MS = 300;

/** The curves of a job, to look around in. What is shown of them stands in the address. */
export function ChartPanel({ job: { id, progress }, curves }: { job: Job; curves: Curves }) {
  const t = useTranslations("job.charts");
  const query = useQuery(metricsQuery(id));
  const [form, setForm] = useParam("as");
  const { log, smoothing, tools } = useDrawing();
  const look = useLook(id, curves);
  useDetail(id, curves, look);
  useEffect(() => void engine(), []); // beside the data, not after them
  const format = useFormat();
  const { formatX } = makeAxes(format);
  const empty = useCurveValue(curves, (now) => now.empty);
  if (query.error && !query.data) return <ErrorNote error={query.error} onRetry={() => void query.refetch()} />;
  if (!query.data) return <Skeleton className="h-180 rounded-2xl" />;
  const nothing = empty && query.data.steps.length === 0; // what was loaded is in the curves a moment later
  if (nothing && FINAL.includes(progress.state)) return <p className="text-sm text-muted">{t("never")}</p>;
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Segments
          label={t("form")}
          value={form === "table" ? "table" : "charts"}
          onChange={(value) => setForm(value === "table" ? "table" : null)}
          options={[
            { value: "charts", label: t("asCharts") },
            { value: "table", label: t("asTable") },
          ]}
        />
        {form !== "table" && <ChartTools look={look} formatX={formatX} {...tools} />}
      </div>
      {empty && <p className="text-sm text-muted">{t("notYet")}</p>}
      {form === "table" ? (
        <ChartTable curves={curves} />
      ) : (
        <Charts curves={curves} look={look} log={log} smoothing={smoothing} />
      )}
    </div>
  );
}

/** What the charts show, begun as the address says and written there when it has settled. */
function useLook(id: string, curves: Curves): Look {
  const [zoom, setZoom] = useParam("zoom");
  const [look] = useState(() => new Look(id, () => curves.extent("step"), rangeOf(zoom)));
  useEffect(() => {
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const forget = look.watch(() => {
      clearTimeout(waiting);
      waiting = setTimeout(() => setZoom(look.range ? look.range.map(Math.round).join("-") : null), SETTLED_MS);
    });
    return () => {
      clearTimeout(waiting);
      forget();
    };
  }, [look, setZoom]);
  useEffect(() => curves.subscribe(look.draw), [curves, look]);
  return look;
}

function rangeOf(zoom: string | null): Range | undefined {
  const match = /^(\d+)-(\d+)$/.exec(zoom ?? "");
  return match && Number(match[1]) < Number(match[2]) ? [Number(match[1]), Number(match[2])] : undefined;
}
