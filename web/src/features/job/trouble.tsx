"use client";

import { useTranslations } from "use-intl";
import type { Job } from "@/features/job/queries";
import { ErrorNote } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Failure } from "@/lib/failure";

/** Why a job failed, what to do about it, and the way to do it. */
export function Trouble({ job }: { job: Job }) {
  const t = useTranslations("job.trouble");
  const { error, state } = job.progress;
  if (error === null) return null;
  return (
    <div className="flex flex-col items-start gap-3">
      <div className="w-full">
        <ErrorNote error={new Failure(0, error)} />
      </div>
      {state === "failed" && (
        <p className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm text-muted">
          {t("after", { step: job.progress.checkpoint_step })}
          <ButtonLink size="sm" href={`/training/new/?from=${job.id}`}>
            {t("change")}
          </ButtonLink>
          <ButtonLink size="sm" variant="ghost" href={`/training/?id=${job.id}&tab=records`}>
            {t("log")}
          </ButtonLink>
        </p>
      )}
    </div>
  );
}
