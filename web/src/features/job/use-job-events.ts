"use client";

import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import {
  artefactsQuery,
  checkpointsQuery,
  exportsQuery,
  jobQuery,
  jobRecipeQuery,
  samplesQuery,
  type Job,
} from "@/features/job/queries";
import type { LiveEvent } from "@/lib/live";
import { useTopic } from "@/lib/use-topic";

type Kept = (id: string) => { queryKey: QueryKey };

const ALL: Kept[] = [jobQuery, jobRecipeQuery, samplesQuery, checkpointsQuery, artefactsQuery, exportsQuery];
/** What is no longer true after an event; steps and evaluations go to the curves. */
const STALE: { [Kind in LiveEvent["kind"]]?: Kept[] } = {
  state: [jobQuery, artefactsQuery],
  started: [jobQuery, jobRecipeQuery],
  sampled: [samplesQuery],
  saved: [jobQuery, checkpointsQuery],
  rewound: ALL,
};

/** Keeps what is loaded of a job true; its curves keep themselves. */
export function useJobEvents(job: Job): void {
  const client = useQueryClient();
  const reload = (queries: Kept[]) => {
    for (const query of queries) void client.invalidateQueries({ queryKey: query(job.id).queryKey, exact: true });
  };
  useTopic(`job:${job.id}`, {
    after: job.progress.seq,
    onEvent: (event) => {
      if (event.kind === "deleted") void client.resetQueries({ queryKey: jobQuery(job.id).queryKey, exact: true });
      else reload(STALE[event.kind] ?? []);
    },
    onReset: () => reload(ALL),
  });
}
