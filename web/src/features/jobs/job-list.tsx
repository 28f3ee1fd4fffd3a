"use client";

import { useQuery } from "@tanstack/react-query";
import { PlusIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { Loading, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { CompareLink } from "@/features/jobs/compare-link";
import { GROUPS, groupOf, JobFilter, type Group } from "@/features/jobs/job-filter";
import { JobTable } from "@/features/jobs/job-table";
import { LiveJob } from "@/features/jobs/live-jobs";
import { NoJobs } from "@/features/jobs/no-jobs";
import { jobsQuery } from "@/features/jobs/queries";
import { useParam } from "@/lib/use-param";
import type { Schemas } from "@/lib/api";

/** All training jobs, live. The filter and what is chosen stand in the address. */
export function JobList() {
  const t = useTranslations("training");
  const query = useQuery(jobsQuery);
  return (
    <Page
      title={t("title")}
      lead={t("lead")}
      actions={
        <ButtonLink href="/training/new/" variant="primary">
          <PlusIcon aria-hidden />
          {t("new")}
        </ButtonLink>
      }
    >
      <QueryStates query={query} loading={<Skeletons />} isEmpty={(jobs) => jobs.length === 0} empty={<NoJobs />}>
        {(jobs) => <Jobs jobs={jobs} />}
      </QueryStates>
    </Page>
  );
}

function Jobs({ jobs }: { jobs: Schemas["JobBody"][] }) {
  const t = useTranslations("training");
  const [state, setState] = useParam("state");
  const [ids, setIds] = useParam("ids");
  const group = GROUPS.find((one) => one === state) ?? "all";
  const shown = jobs.filter((job) => group === "all" || groupOf(job.progress.state) === group);
  const chosen = listOf(ids).filter((id) => jobs.some((job) => job.id === id));
  const choose = (id: string, on: boolean) => {
    const others = (now: string | null) => listOf(now).filter((one) => one !== id);
    setIds((now) => [...others(now), ...(on ? [id] : [])].join() || null);
  };
  return (
    <div className="flex flex-col gap-3">
      {jobs
        .filter(({ progress }) => progress.state === "starting" || progress.state === "running")
        .map((job) => (
          <LiveJob key={job.id} job={job} />
        ))}
      <div className="flex flex-wrap items-center justify-between gap-3">
        <JobFilter jobs={jobs} value={group} onChange={(to: Group) => setState(to === "all" ? null : to)} />
        <CompareLink ids={chosen} onClear={() => setIds(null)} />
      </div>
      {shown.length > 0 ? (
        <JobTable jobs={shown} chosen={chosen} onChoose={choose} />
      ) : (
        <p className="rounded-2xl border border-dashed border-line px-6 py-12 text-center text-sm text-muted">{t("none")}</p>
      )}
    </div>
  );
}

function listOf(ids: string | null): string[] {
  return ids?.split(",") ?? [];
}

function Skeletons() {
  return (
    <Loading>
      <Skeleton className="h-10 w-80 max-w-full rounded-xl" />
      <Skeleton className="h-72 rounded-2xl" />
    </Loading>
  );
}
