"use client";

import { useQueries, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { GitCompareIcon } from "lucide-react";
import dynamic from "next/dynamic";
import { useMemo } from "react";
import { useTranslations } from "use-intl";
import { compared, idsOf, type Compared } from "@/features/job/compare/compared";
import { Differences } from "@/features/job/compare/differences";
import { Outcomes } from "@/features/job/compare/outcomes";
import { SamplesBeside } from "@/features/job/compare/samples-beside";
import { jobQuery, type Job } from "@/features/job/queries";
import { useFeed } from "@/features/job/use-curves";
import { jobsQuery } from "@/features/jobs/queries";
import { Page } from "@/components/page";
import { Empty, Loading } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { useParam } from "@/lib/use-param";

// what is chosen and looked around in brings floating parts along: they come while the data do
const Chosen = dynamic(() => import("@/features/job/compare/chosen").then((loaded) => loaded.Chosen), {
  loading: () => <Skeleton className="h-9 w-48" />,
});
const Overlay = dynamic(() => import("@/features/job/compare/overlay").then((loaded) => loaded.Overlay), {
  loading: () => <Skeleton className="h-130 rounded-2xl" />,
});

/** Any number of jobs side by side; which ones, and what of them, stands in the address. */
export function ComparePage() {
  const t = useTranslations("compare");
  const [param, setParam] = useParam("ids");
  const ids = useMemo(() => idsOf(param), [param]);
  const all = useMemo(() => compared(ids), [ids]);
  const { jobs, errors, loading } = useQueries({ queries: ids.map((id) => jobQuery(id)), combine: together });
  const known = useMemo(() => all.flatMap((one, at) => (jobs[at] ? [{ ...one, job: jobs[at] }] : [])), [all, jobs]);
  return (
    <Page title={t("title")} lead={t("lead")}>
      <Chosen all={all} jobs={jobs} errors={errors} onChange={(chosen) => setParam(chosen.join(",") || null)} />
      {all.map((one) => (
        <Feed key={`${one.id} of ${param}`} one={one} />
      ))}
      {ids.length === 0 && <Nothing />}
      {loading ? (
        <Loading>
          <Skeleton className="h-130 rounded-2xl" />
          <Skeleton className="h-48 rounded-2xl" />
        </Loading>
      ) : (
        known.length > 0 && (
          <>
            <Overlay all={known} />
            <Outcomes all={known} />
            <Differences all={known} />
            <SamplesBeside all={known} />
          </>
        )
      )}
    </Page>
  );
}

function Nothing() {
  const t = useTranslations("compare");
  const none = useQuery(jobsQuery).data?.length === 0;
  return (
    <Empty
      icon={GitCompareIcon}
      title={t("emptyTitle")}
      action={none && <ButtonLink href="/training/">{t("toTraining")}</ButtonLink>}
    >
      {none ? t("noJobs") : t("empty")}
    </Empty>
  );
}

/** What `useQueries` keeps the same as long as nothing of it changes. */
function together(results: UseQueryResult<Job>[]) {
  return {
    jobs: results.map(({ data }) => data),
    errors: results.map(({ data, error }) => (data ? null : error)),
    loading: results.some(({ isPending }) => isPending),
  };
}

/** Keeps the curves of one job true. */
function Feed({ one: { id, curves } }: { one: Compared }) {
  useFeed(id, curves);
  return null;
}
