"use client";

import { useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { Progress } from "@/components/ui/progress";
import { systemQuery } from "@/features/system/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";
import { useTopic } from "@/lib/use-topic";

type Running = Schemas["RunningJob"];

/** Where a job that runs is looked at. */
export function addressOf(job: Pick<Running, "id" | "kind">): string {
  return job.kind === "pull" ? "/models/" : `/training/?id=${job.id}`;
}

/** The job that runs now, a step at a time. */
export function RunningJob({ job, others }: { job: Running; others: number }) {
  const t = useTranslations("running");
  const format = useFormat();
  useLiveSteps(job.id);
  return (
    <Link href={addressOf(job)} className="flex min-w-0 items-center gap-3 rounded-lg px-2 py-1 text-sm hover:bg-sunken">
      <span className="min-w-0 truncate font-medium">{job.name}</span>
      <span className="w-16 shrink-0 sm:w-28">
        <Progress label={job.name} value={job.step} total={job.total_steps} />
      </span>
      {job.total_steps !== null && (
        <span className="text-xs whitespace-nowrap text-muted max-sm:hidden">
          {t("steps", { step: format.number(job.step), total: format.number(job.total_steps) })}
        </span>
      )}
      {others > 0 && <span className="text-xs whitespace-nowrap text-muted">{t("others", { count: others })}</span>}
    </Link>
  );
}

/** Keeps the step of a running job in the state of the system true. */
export function useLiveSteps(id: string): void {
  const client = useQueryClient();
  useTopic(`job:${id}`, {
    onEvent: (event) => {
      if (event.kind !== "step") return;
      client.setQueryData(systemQuery.queryKey, (system) => system && { ...system, running: at(system.running, id, event.step) });
    },
    onReset: () => void client.invalidateQueries({ queryKey: systemQuery.queryKey }),
  });
}

function at(running: Running[], id: string, step: number): Running[] {
  return running.map((job) => (job.id === id ? { ...job, step } : job));
}
