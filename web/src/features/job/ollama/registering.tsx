"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { useTranslations } from "use-intl";
import { Card } from "@/components/page";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Progress } from "@/components/ui/progress";
import { certificateQuery, registrationsQuery, type Registration } from "@/features/job/ollama/queries";
import type { Job } from "@/features/job/queries";
import { api, of } from "@/lib/api";
import { useFormat } from "@/lib/use-format";
import { useTopic } from "@/lib/use-topic";

/** A registration that is under way, phase by phase. */
export function Registering({ job, under }: { job: Job; under: Registration }) {
  const t = useTranslations("job.results.ollama");
  const format = useFormat();
  const cancel = useCancel(job, under);
  useLiveRegistration(job, under);
  const { done, total, text } = under;
  return (
    <Card className="flex flex-col gap-2 text-sm">
      <p className="flex flex-wrap justify-between gap-x-4">
        <span className="font-mono">{under.name}</span>
        {total > 0 && <span className="text-xs text-muted">{format.percent(done / total)}</span>}
      </p>
      <Progress label={t("under", { name: under.name })} value={done} total={total} />
      <div className="flex min-h-8 items-center justify-between gap-2 text-xs text-muted">
        <span role="status">{text ?? t("soon")}</span>
        <Button size="sm" variant="ghost" onClick={() => cancel.mutate()} busy={cancel.isPending || under.desired === "cancel"}>
          {t("cancel")}
        </Button>
      </div>
      {cancel.error && <ErrorNote error={cancel.error} />}
    </Card>
  );
}

function useCancel(job: Job, { id }: Registration) {
  const client = useQueryClient();
  const params = { path: { job_id: job.id, registration_id: id } };
  return useMutation({
    mutationFn: () => of(api.POST("/api/training/jobs/{job_id}/ollama/{registration_id}/cancel", { params })),
    onSuccess: () => client.invalidateQueries({ queryKey: registrationsQuery(job.id).queryKey }),
  });
}

/** How far it is comes with the events; what it does now is told in the reader's language by the API, once a phase. */
function useLiveRegistration(job: Job, { id }: Registration): void {
  const client = useQueryClient();
  const phase = useRef("");
  const { queryKey } = registrationsQuery(job.id);
  const reload = () => {
    void client.invalidateQueries({ queryKey });
    void client.invalidateQueries({ queryKey: certificateQuery(job.id).queryKey });
  };
  useTopic(`job:${id}`, {
    onEvent: ({ kind, body }) => {
      if (kind !== "progress" || body.text !== phase.current) {
        if (kind === "progress") phase.current = body.text;
        return reload();
      }
      const { done, total } = body;
      client.setQueryData(queryKey, (all) => all?.map((one) => (one.id === id ? { ...one, done, total } : one)));
    },
    onReset: reload,
  });
}
