"use client";

import { useTranslations } from "use-intl";
import { Progress } from "@/components/ui/progress";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

/** How far a job is, when it will be done, or how many wait before it; of what is over, when it ended or what went wrong. */
export function JobProgress({ job }: { job: Schemas["JobBody"] }) {
  const { state, step, position, total_steps, error } = job.progress;
  const t = useTranslations("training.progress");
  const format = useFormat();
  const steps = total_steps === null ? null : t("steps", { step: format.number(step), total: format.number(total_steps) });
  return (
    <div className="flex h-10 w-full flex-col justify-center gap-1 text-xs text-muted md:w-52">
      {state === "failed" || (state === "waiting_retry" && error) ? (
        <p className="line-clamp-2 leading-snug text-bad">{error?.message}</p>
      ) : (
        <>
          <p className="flex justify-between gap-3 whitespace-nowrap">
            <span>{steps}</span>
            <span className="truncate">
              <Remaining job={job} />
            </span>
          </p>
          {(total_steps !== null || position !== null) && (
            <Progress label={job.name} value={state === "succeeded" ? 1 : step} total={state === "succeeded" ? 1 : (total_steps ?? 1)} />
          )}
        </>
      )}
    </div>
  );
}

function Remaining({ job }: { job: Schemas["JobBody"] }) {
  const { state, desired, position, eta_seconds } = job.progress;
  const t = useTranslations("training.progress");
  const format = useFormat();
  if (position !== null) return position === 0 ? t("next") : t("waiting", { count: position });
  if (state === "starting" || state === "running") {
    if (desired !== "run") return t(`asked.${desired}`);
    return eta_seconds === null ? t("preparing") : t("remaining", { time: format.duration(eta_seconds) });
  }
  return job.finished_at === null ? null : format.ago(job.finished_at);
}
