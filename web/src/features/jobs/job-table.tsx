"use client";

import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslations } from "use-intl";
import { DataTable, type Column } from "@/components/data-table";
import { JobStateBadge } from "@/components/job-state";
import { RowLink } from "@/components/row-link";
import { ErrorNote } from "@/components/states";
import { Checkbox } from "@/components/ui/checkbox";
import { datasetsQuery, shortName } from "@/features/jobs/materials";
import { JobProgress } from "@/features/jobs/job-progress";
import { LossCell } from "@/features/jobs/loss-cell";
import type { Schemas } from "@/lib/api";

/** Menus and dialogs come after what one looks at. */
const JobActions = lazy(() => import("@/features/jobs/job-actions").then((module) => ({ default: module.JobActions })));

type Job = Schemas["JobBody"];

interface Props {
  jobs: Job[];
  chosen: string[];
  onChoose: (id: string, on: boolean) => void;
}

/** The jobs, one a row. */
export function JobTable({ jobs, chosen, onChoose }: Props) {
  const t = useTranslations("training");
  const [error, setError] = useState<unknown>(null);
  const columns: Column<Job>[] = [
    {
      key: "name",
      title: t("columns.name"),
      cell: (job) => (
        <div className="flex min-w-0 items-center gap-4">
          <Checkbox
            className="z-10"
            aria-label={t("choose", { name: job.name })}
            checked={chosen.includes(job.id)}
            onChange={(on) => onChoose(job.id, on)}
          />
          <Named job={job} />
        </div>
      ),
    },
    { key: "state", title: t("columns.state"), wideOnly: true, cell: ({ progress }) => <JobStateBadge state={progress.state} /> },
    { key: "loss", title: t("columns.loss"), wideOnly: true, cell: (job) => <LossCell job={job} /> },
    { key: "progress", title: t("columns.progress"), wideOnly: true, cell: (job) => <JobProgress job={job} /> },
    {
      key: "actions",
      title: t("columns.actions"),
      numeric: true,
      cell: (job) => (
        <Suspense fallback={<span className="ml-auto block size-9" />}>
          <JobActions job={job} onError={setError} />
        </Suspense>
      ),
    },
  ];
  return (
    <>
      {error !== null && <ErrorNote error={error} />}
      <DataTable caption={t("title")} columns={columns} rows={jobs} rowKey={(job) => job.id} />
    </>
  );
}

function Named({ job }: { job: Job }) {
  const t = useTranslations("training");
  const { data } = useQuery(datasetsQuery);
  const dataset = data?.find((one) => one.id === job.dataset_id)?.name;
  return (
    <div className="min-w-0 flex-1">
      <RowLink href={`/training/?id=${job.id}`}>{job.name}</RowLink>
      <p className="text-xs text-muted">
        <span title={String(job.recipe.model)}>{shortName(String(job.recipe.model))}</span>
        {data && <> · {dataset ?? t("datasetGone")}</>}
      </p>
      <div className="mt-2 flex flex-col items-start gap-1 md:hidden">
        <JobStateBadge state={job.progress.state} />
        <JobProgress job={job} />
      </div>
    </div>
  );
}
