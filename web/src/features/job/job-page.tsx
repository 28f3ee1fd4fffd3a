"use client";

import { usePrefetchQuery, useQuery } from "@tanstack/react-query";
import dynamic from "next/dynamic";
import { useTranslations } from "use-intl";
import { Actions } from "@/features/job/actions";
import { ChartPanel } from "@/features/job/chart-panel";
import { Lead } from "@/features/job/lead";
import { Milestones } from "@/features/job/milestones";
import { Now } from "@/features/job/now";
import { jobQuery, metricsQuery, type Job } from "@/features/job/queries";
import { Records } from "@/features/job/records";
import { Results } from "@/features/job/results";
import { Samples } from "@/features/job/samples";
import { Trained } from "@/features/job/trained";
import { Trouble } from "@/features/job/trouble";
import { useCurves } from "@/features/job/use-curves";
import { useJobEvents } from "@/features/job/use-job-events";
import { Page } from "@/components/page";
import { Loading, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Tabs } from "@/components/ui/tabs";
import { useParam } from "@/lib/use-param";

/** It brings the long lists of choices along: loaded when it is looked at. */
const Recipe = dynamic(() => import("@/features/job/recipe").then((loaded) => loaded.Recipe), {
  loading: () => <Skeleton className="h-180 rounded-2xl" />,
});
const TABS = ["curves", "samples", "data", "recipe", "records", "results"] as const;

/** One job: how it goes, what it was asked, what came out. */
export function JobPage({ id }: { id: string }) {
  const t = useTranslations("job");
  const query = useQuery(jobQuery(id));
  usePrefetchQuery(metricsQuery(id)); // a long run takes longest: begin at once
  if (query.data) return <Loaded key={id} job={query.data} />;
  return (
    <Page title={t("title")} actions={query.error && <ButtonLink href="/training/">{t("toList")}</ButtonLink>}>
      <QueryStates query={query} loading={<Waiting />}>
        {() => null}
      </QueryStates>
    </Page>
  );
}

function Waiting() {
  return (
    <Loading>
      <Skeleton className="h-46 rounded-2xl" />
      <Skeleton className="h-180 rounded-2xl" />
    </Loading>
  );
}

function Loaded({ job }: { job: Job }) {
  const t = useTranslations("job.tabs");
  const [tab, setTab] = useParam("tab");
  const curves = useCurves(job.id);
  useJobEvents(job);
  const panels = {
    curves: <ChartPanel job={job} curves={curves} />,
    samples: <Samples job={job} />,
    data: <Trained job={job} />,
    recipe: <Recipe job={job} />,
    records: <Records job={job} />,
    results: <Results job={job} />,
  };
  return (
    <Page title={job.name} lead={<Lead job={job} />} actions={<Actions job={job} />}>
      <Now job={job} curves={curves} />
      <Milestones job={job} curves={curves} />
      <Trouble job={job} />
      <Tabs
        value={TABS.find((one) => one === tab) ?? "curves"}
        onChange={(chosen) => setTab(chosen === "curves" ? null : chosen)}
        tabs={TABS.map((value) => ({ value, label: t(value), panel: panels[value] }))}
      />
    </Page>
  );
}
