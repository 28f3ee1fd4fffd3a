"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { XIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { JobStateBadge } from "@/components/job-state";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Progress } from "@/components/ui/progress";
import { endPull, pull, pullsQuery } from "@/features/models/queries";
import type { Schemas } from "@/lib/api";
import { Failure } from "@/lib/failure";
import { useFormat } from "@/lib/use-format";
import { useTopic } from "@/lib/use-topic";

type PullJob = Schemas["PullJob"];

/** A download: how far it is, the way to end it, or why it failed. */
export function PullRow({ job }: { job: PullJob }) {
  const t = useTranslations("models.pull");
  const client = useQueryClient();
  const reload = () => client.invalidateQueries({ queryKey: pullsQuery.queryKey });
  const end = useMutation({ mutationFn: () => endPull(job.model), onSuccess: reload });
  const again = useMutation({ mutationFn: () => pull(job.model), onSuccess: reload });
  useLivePull(job);
  const error = again.error ?? end.error ?? (job.error && new Failure(422, job.error));
  return (
    <li className="flex flex-col gap-2 py-3 text-sm">
      <div className="flex items-center justify-between gap-3">
        <span className="min-w-0 truncate font-mono">{job.model}</span>
        <span className="flex items-center gap-2">
          <JobStateBadge state={job.state} />
          <Button
            variant="ghost"
            size="icon"
            className="size-8"
            busy={end.isPending}
            onClick={() => end.mutate()}
            aria-label={job.error ? t("forget", { name: job.model }) : t("cancel", { name: job.model })}
          >
            <XIcon aria-hidden />
          </Button>
        </span>
      </div>
      {error ? <ErrorNote error={error} onRetry={() => again.mutate()} /> : <Measure job={job} />}
    </li>
  );
}

function Measure({ job: { model, progress } }: { job: PullJob }) {
  const t = useTranslations("models.pull");
  const format = useFormat();
  const known = progress !== null && progress.total > 0;
  return (
    <>
      <Progress label={model} value={progress?.done ?? 0} total={known ? progress.total : null} />
      <div className="flex min-h-5 justify-between gap-4 text-xs text-muted">
        <span className="truncate">{progress?.text ?? t("waiting")}</span>
        {known && (
          <span className="whitespace-nowrap">
            {t("bytes", {
              done: format.bytes(progress.done),
              total: format.bytes(progress.total),
              share: format.percent(progress.done / progress.total),
            })}
          </span>
        )}
      </div>
    </>
  );
}

function useLivePull({ id, seq }: PullJob): void {
  const client = useQueryClient();
  useTopic(`job:${id}`, {
    after: seq,
    onEvent: ({ kind, body }) => {
      if (kind !== "progress") return;
      client.setQueryData(pullsQuery.queryKey, (pulls) =>
        pulls?.map((one) => (one.id === id ? { ...one, progress: { kind, ...body } } : one)),
      );
    },
    onReset: () => void client.invalidateQueries({ queryKey: pullsQuery.queryKey }),
  });
}
