"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { LengthHistogram } from "@/features/datasets/length-histogram";
import { Problems } from "@/features/datasets/problems";
import { checkQuery, type DatasetDetails } from "@/features/datasets/queries";
import { TrainedShare } from "@/features/datasets/trained-share";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

const AT_ONCE = 2000; // rows that are counted without being asked to
const OF_THE_MODEL = ["truncated", "nothing_supervised", "many_tokens"];

interface Props {
  dataset: DatasetDetails;
  model: string;
  length: number;
}

/** Pictures of how long all rows are for a model, and how much of them it learns. */
export function Statistics({ dataset, model, length }: Props) {
  const t = useTranslations("datasets.statistics");
  const [asked, setAsked] = useState(dataset.rows <= AT_ONCE);
  const query = useQuery({ ...checkQuery(dataset, model, length), enabled: asked });
  return (
    <Section title={t("title")} lead={t("lead")}>
      {asked ? (
        <QueryStates query={query} loading={<Skeleton className="h-112 rounded-2xl" />}>
          {(report) => (
            <div className={cn("flex flex-col gap-3 transition-opacity", query.isPlaceholderData && "opacity-60")} aria-busy={query.isFetching}>
              {report.tokens ? <Pictures counts={report.tokens} length={length} /> : <Card className="text-sm text-muted">{t("nothing")}</Card>}
              <OfTheModel dataset={dataset} report={report} model={model} length={length} />
            </div>
          )}
        </QueryStates>
      ) : (
        <Card className="flex flex-wrap items-center justify-between gap-3 text-sm">
          <p className="text-muted">{t("many", { count: dataset.rows })}</p>
          <Button onClick={() => setAsked(true)}>{t("count")}</Button>
        </Card>
      )}
    </Section>
  );
}

function Pictures({ counts, length }: { counts: Schemas["TokenCountsBody"]; length: number }) {
  const t = useTranslations("datasets.statistics");
  const format = useFormat();
  const tiles = [
    { name: t("half"), value: format.number(counts.p50) },
    { name: t("most"), value: format.number(counts.p95) },
    { name: t("longest"), value: format.number(counts.max) },
    { name: t("cut"), value: format.number(counts.truncated), bad: counts.truncated > 0 },
  ];
  return (
    <Card className="flex flex-col gap-6">
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-4">
        {tiles.map(({ name, value, bad }) => (
          <div key={name}>
            <dt className="text-xs text-muted">{name}</dt>
            <dd className={cn("text-xl font-semibold", bad && "text-warn")}>{value}</dd>
          </div>
        ))}
      </dl>
      <LengthHistogram bins={counts.histogram} maxLength={length} />
      <TrainedShare counts={counts} />
    </Card>
  );
}

/** What only shows with a model: the rest is said in the overview. */
function OfTheModel({ dataset, report, model, length }: Props & { report: Schemas["ReportBody"] }) {
  const errors = report.errors.filter(({ code }) => code.startsWith("template"));
  const only = (counts: Record<string, number>, codes: (code: string) => boolean) =>
    Object.fromEntries(Object.entries(counts).filter(([code]) => codes(code)));
  const sum = (counts: Record<string, number>) => Object.values(counts).reduce((one, other) => one + other, 0);
  const errorCounts = only(report.errors_by_code, (code) => code.startsWith("template"));
  const warningCounts = only(report.warnings_by_code, (code) => OF_THE_MODEL.includes(code));
  if (sum(errorCounts) + sum(warningCounts) === 0) return null;
  const found = {
    ...report,
    errors,
    errors_by_code: errorCounts,
    errors_count: sum(errorCounts),
    warnings_by_code: warningCounts,
    warnings_count: sum(warningCounts),
  };
  return <Problems dataset={dataset} report={found} view={{ tab: "tokens", model, length }} />;
}
