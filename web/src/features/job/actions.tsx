"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { GitCompareIcon, MessageCircleIcon, PauseIcon, PlayIcon, RefreshCwIcon, SlidersHorizontalIcon, SquareIcon, Trash2Icon } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { ACTIVE, FINAL, jobQuery, type Job } from "@/features/job/queries";
import { ErrorNote } from "@/components/states";
import { Button, ButtonLink } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Dialog } from "@/components/ui/dialog";
import { toast } from "@/components/ui/toast";
import { Tooltip } from "@/components/ui/tooltip";
import { api, of } from "@/lib/api";

type Wish = "pause" | "resume" | "cancel" | "retry";

const ICONS = { pause: PauseIcon, resume: PlayIcon, retry: RefreshCwIcon, cancel: SquareIcon };

/** What may be done with the job in its state; what is wished for already waits. */
export function Actions({ job }: { job: Job }) {
  const t = useTranslations("job.actions");
  const client = useQueryClient();
  const steer = useMutation({
    mutationFn: (wish: Wish) => of(api.POST(`/api/training/jobs/{job_id}/${wish}`, { params: { path: { job_id: job.id } } })),
    onSuccess: (changed) => client.setQueryData(jobQuery(job.id).queryKey, changed),
  });
  const { state, desired } = job.progress;
  const button = (wish: Exclude<Wish, "cancel">, variant?: "primary") => {
    const Icon = ICONS[wish];
    const busy = (steer.isPending && steer.variables === wish) || (wish === "pause" && desired === "pause");
    return (
      <Button variant={variant} onClick={() => steer.mutate(wish)} busy={busy}>
        <Icon aria-hidden />
        {t(wish)}
      </Button>
    );
  };
  return (
    <>
      {state === "succeeded" && (
        <ButtonLink variant="primary" href={`/chat/?job=${job.id}`}>
          <MessageCircleIcon aria-hidden />
          {t("chat")}
        </ButtonLink>
      )}
      {state === "paused" && button("resume", "primary")}
      {(state === "failed" || state === "cancelled") && button("retry")}
      {!FINAL.includes(state) && state !== "paused" && button("pause")}
      {!FINAL.includes(state) && <Cancel job={job} onConfirm={() => steer.mutate("cancel")} />}
      <ButtonLink href={`/training/new/?from=${job.id}`}>
        <SlidersHorizontalIcon aria-hidden />
        {t("again")}
      </ButtonLink>
      <ButtonLink href={`/training/compare/?ids=${job.id}`}>
        <GitCompareIcon aria-hidden />
        {t("compare")}
      </ButtonLink>
      {!ACTIVE.includes(state) && <Delete job={job} />}
      <Dialog open={steer.error !== null} onOpenChange={() => steer.reset()} title={t("refused")}>
        <ErrorNote error={steer.error} />
      </Dialog>
    </>
  );
}

/** A cancelled job can be taken up again, but not what it did since its last checkpoint. */
function Cancel({ job, onConfirm }: { job: Job; onConfirm: () => void }) {
  const t = useTranslations("job.actions");
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Button onClick={() => setAsking(true)} busy={job.progress.desired === "cancel"}>
        <SquareIcon aria-hidden />
        {t("cancel")}
      </Button>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={t("cancelTitle", { name: job.name })}
        description={t("cancelText", { step: job.progress.checkpoint_step })}
        action={t("cancel")}
        onConfirm={() => {
          setAsking(false);
          onConfirm();
        }}
      />
    </>
  );
}

function Delete({ job }: { job: Job }) {
  const t = useTranslations("job.actions");
  const client = useQueryClient();
  const router = useRouter();
  const [asking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => api.DELETE("/api/training/jobs/{job_id}", { params: { path: { job_id: job.id } } }),
    onSuccess: () => {
      router.replace("/training/");
      toast(t("deleted", { name: job.name }));
      void client.invalidateQueries({ queryKey: ["jobs"] });
    },
  });
  return (
    <>
      <Tooltip text={t("delete")}>
        <Button variant="danger" size="icon" aria-label={t("delete")} onClick={() => setAsking(true)}>
          <Trash2Icon aria-hidden />
        </Button>
      </Tooltip>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={t("deleteTitle", { name: job.name })}
        description={t("deleteText")}
        action={t("delete")}
        onConfirm={() => remove.mutate()}
        busy={remove.isPending}
      >
        {remove.error && <ErrorNote error={remove.error} />}
      </ConfirmDialog>
    </>
  );
}
