"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { ACTIVE, artefactsQuery, exportsQuery, FINAL, type Job } from "@/features/job/queries";
import { Download } from "@/features/job/results";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Progress } from "@/components/ui/progress";
import { api, of, type Schemas } from "@/lib/api";
import { Failure } from "@/lib/failure";
import { useFormat } from "@/lib/use-format";
import { useTopic } from "@/lib/use-topic";

type Export = Schemas["ExportBody"];

/** The merged model is made by a job of its own; then it can be downloaded. */
export function Merged({ job, made }: { job: Job; made: boolean }) {
  const t = useTranslations("job.results.merge");
  const client = useQueryClient();
  const query = useQuery(exportsQuery(job.id));
  const create = useMutation({
    mutationFn: () => of(api.POST("/api/training/jobs/{job_id}/exports", { params: { path: { job_id: job.id } } })),
    onSuccess: (begun) =>
      client.setQueryData(exportsQuery(job.id).queryKey, (known = []) => [begun, ...known.filter(({ id }) => id !== begun.id)]),
  });
  const newest = query.data?.[0];
  if (newest && !FINAL.includes(newest.state)) return <Merging job={job} under={newest} />;
  const error = create.error ?? query.error ?? (newest?.error ? new Failure(0, newest.error) : null);
  return (
    <div className="flex flex-col gap-3">
      {error && <ErrorNote error={error} />}
      {made ? (
        <Download job={job} name="merged.gguf" />
      ) : (
        <Button className="self-start" onClick={() => create.mutate()} busy={create.isPending || query.isPending}>
          {t("make")}
        </Button>
      )}
    </div>
  );
}

/** An export that is under way. */
function Merging({ job, under }: { job: Job; under: Export }) {
  const t = useTranslations("job.results.merge");
  const format = useFormat();
  const client = useQueryClient();
  const { queryKey } = exportsQuery(job.id);
  const reload = () => {
    void client.invalidateQueries({ queryKey });
    void client.invalidateQueries({ queryKey: artefactsQuery(job.id).queryKey });
  };
  useTopic(`job:${under.id}`, {
    onEvent: (event) => {
      if (event.kind !== "progress") return reload();
      const { done, total } = event.body;
      client.setQueryData(queryKey, (known) => known?.map((one) => (one.id === under.id ? { ...one, done, total } : one)));
    },
    onReset: reload,
  });
  const cancel = useMutation({
    mutationFn: () =>
      of(
        api.POST("/api/training/jobs/{job_id}/exports/{export_id}/cancel", {
          params: { path: { job_id: job.id, export_id: under.id } },
        }),
      ),
    onSuccess: reload,
  });
  const { done, total, state } = under;
  return (
    <div className="flex flex-col gap-2 text-xs text-muted">
      <Progress label={t("under")} value={done} total={total} />
      <div className="flex items-center justify-between gap-2">
        {ACTIVE.includes(state) && total !== null ? t("tensors", { done: format.number(done), total: format.number(total) }) : t("soon")}
        <Button size="sm" variant="ghost" onClick={() => cancel.mutate()} busy={cancel.isPending || under.desired === "cancel"}>
          {t("cancel")}
        </Button>
      </div>
      {cancel.error && <ErrorNote error={cancel.error} />}
    </div>
  );
}
