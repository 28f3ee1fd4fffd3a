"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { jobDatasetQuery, type Job } from "@/features/job/queries";
import { JobStateBadge } from "@/components/job-state";
import { useFormat } from "@/lib/use-format";

/** What is trained on what, since when. */
export function Lead({ job }: { job: Job }) {
  const t = useTranslations("job.lead");
  const format = useFormat();
  const dataset = useQuery(jobDatasetQuery(job.dataset_id));
  return (
    <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
      <JobStateBadge state={job.progress.state} />
      <span className="font-mono text-[0.8125rem]">{String(job.recipe.model)}</span>
      {dataset.data && (
        <Link href={`/datasets/?id=${dataset.data.id}`} className="underline underline-offset-4 hover:text-accent">
          {dataset.data.name}
        </Link>
      )}
      {dataset.error && <span>{t("noDataset")}</span>}
      <time dateTime={new Date(job.created_at * 1000).toISOString()}>{format.date(job.created_at)}</time>
    </span>
  );
}
