"use client";

import { useTranslations } from "use-intl";
import type { Curves } from "@/features/job/curves";
import type { Job } from "@/features/job/queries";
import { useCurveValue } from "@/features/job/use-curves";
import { useFormat } from "@/lib/use-format";

const EVERY = 0.1;

/** For those who do not see the page: each tenth of the way and each change of the state, not every number. */
export function Milestones({ job, curves }: { job: Job; curves: Curves }) {
  const t = useTranslations("jobState");
  const format = useFormat();
  const { state, step, total_steps } = job.progress;
  const live = useCurveValue(curves, ({ latest }) => latest?.step ?? 0);
  const share = total_steps ? Math.floor(Math.max(step, live) / total_steps / EVERY) * EVERY : 0;
  return (
    <p role="status" className="sr-only">
      {t(state)} {format.percent(share)}
    </p>
  );
}
