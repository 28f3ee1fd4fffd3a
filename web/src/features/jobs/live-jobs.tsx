"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useRef } from "react";
import { jobsQuery, prolonged, sparkQuery } from "@/features/jobs/queries";
import type { Schemas } from "@/lib/api";
import type { LiveEvent } from "@/lib/live";
import { useTopic } from "@/lib/use-topic";

type StepEvent = Extract<LiveEvent, { kind: "step" }>;

const AT_MOST_EVERY_MS = 300;

/** Keeps the row of a running job true; it draws nothing. Steps that come fast are told to the page together. */
export function LiveJob({ job }: { job: Schemas["JobBody"] }) {
  const client = useQueryClient();
  const heard = useRef<StepEvent[]>([]);
  const due = useRef<ReturnType<typeof setTimeout>>(undefined);
  const { queryKey: sparkKey } = sparkQuery(job.id);
  const end = useEffectEvent(() => {
    clearTimeout(due.current);
    void client.invalidateQueries({ queryKey: sparkKey }); // what was not told yet is in what the server has
  });
  useEffect(() => () => end(), []);

  const tell = () => {
    const steps = heard.current.splice(0);
    const last = steps.at(-1);
    due.current = undefined;
    if (last === undefined) return;
    const news = steps.map(({ step, body }) => ({ x: step, y: body.loss }));
    client.setQueryData(sparkKey, (curve) => curve && prolonged(curve, news));
    client.setQueryData(jobsQuery.queryKey, (jobs) => jobs?.map((one) => (one.id === job.id ? moved(one, last) : one)));
  };
  const reload = () => {
    heard.current = [];
    for (const queryKey of [jobsQuery.queryKey, sparkKey]) void client.invalidateQueries({ queryKey });
  };
  useTopic(`job:${job.id}`, {
    after: job.progress.seq,
    onReset: reload,
    onEvent: (event) => {
      if (event.kind === "rewound" || event.kind === "started") reload();
      if (event.kind !== "step") return;
      heard.current.push(event);
      due.current ??= setTimeout(tell, AT_MOST_EVERY_MS);
    },
  });
  return null;
}

function moved(job: Schemas["JobBody"], { seq, step, body }: StepEvent): Schemas["JobBody"] {
  const { loss, eta_seconds, tokens_per_second, memory } = body;
  return { ...job, progress: { ...job.progress, seq, step, loss, eta_seconds, tokens_per_second, memory } };
}
