"use client";

import { useQuery } from "@tanstack/react-query";
import { XIcon } from "lucide-react";
import Link from "next/link";
import { useTranslations } from "use-intl";
import type { Compared } from "@/features/job/compare/compared";
import { Swatch } from "@/features/job/plot";
import { jobQuery, type Job } from "@/features/job/queries";
import { jobsQuery } from "@/features/jobs/queries";
import { JobStateBadge } from "@/components/job-state";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/select";
import { useRefresh } from "@/lib/use-topic";

interface Props {
  all: Compared[];
  /** In the same order; undefined while there is none. */
  jobs: (Job | undefined)[];
  errors: (Error | null)[];
  onChange: (ids: string[]) => void;
}

/** The jobs that are compared, each with its line; more can be added. */
export function Chosen({ all, jobs, errors, onChange }: Props) {
  const t = useTranslations("compare");
  const listed = useQuery(jobsQuery);
  const ids = all.map(({ id }) => id);
  useRefresh("jobs", ...ids.map((id) => jobQuery(id).queryKey));
  const others = listed.data?.filter(({ id }) => !ids.includes(id)) ?? [];
  return (
    <div className="flex flex-col gap-3">
      <ul className="flex flex-wrap gap-2">
        {all.map(({ id, line }, at) => {
          const job = jobs[at];
          const name = job?.name ?? id;
          return (
            <li key={id} className="flex max-w-full items-center gap-2 rounded-xl border border-line bg-surface py-1 pr-1 pl-3 text-sm">
              <Swatch line={line} />
              <Link href={`/training/?id=${id}`} className="truncate font-medium hover:text-accent">
                {name}
              </Link>
              {job && <JobStateBadge state={job.progress.state} />}
              {errors[at] && <span className="text-bad">{errors[at].message}</span>}
              <Button
                variant="ghost"
                size="icon"
                className="size-7"
                aria-label={t("remove", { name })}
                onClick={() => onChange(ids.filter((one) => one !== id))}
              >
                <XIcon aria-hidden />
              </Button>
            </li>
          );
        })}
        {others.length > 0 && (
          <li>
            <Select
              aria-label={t("add")}
              value={null}
              placeholder={t("add")}
              onChange={(id) => onChange([...ids, id])}
              options={others.map(({ id, name }) => ({ value: id, label: name }))}
              className="w-48"
            />
          </li>
        )}
      </ul>
      {listed.error && <ErrorNote error={listed.error} onRetry={() => void listed.refetch()} />}
    </div>
  );
}
