"use client";

import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Curves } from "@/features/job/curves";
import { ACTIVE, type Job } from "@/features/job/queries";
import { useCurveValue } from "@/features/job/use-curves";
import { Card } from "@/components/page";
import { Progress } from "@/components/ui/progress";
import { useFormat } from "@/lib/use-format";

/** Where the job stands, in numbers that keep their places. */
export function Now({ job, curves }: { job: Job; curves: Curves }) {
  const t = useTranslations("job.now");
  const format = useFormat();
  const { progress } = job;
  const latest = useCurveValue(curves, (now) => now.latest);
  const evaluation = useCurveValue(curves, (now) => now.evaluations.at(-1));
  const seconds = useCurveValue(curves, (now) => (now.empty ? undefined : now.extent("seconds")[1]));
  const step = Math.max(progress.step, latest?.step ?? 0);
  const total = progress.total_steps;
  const best = curves.evaluations.findLast((one) => one.best);
  return (
    <Card className="flex flex-col gap-4">
      <div className="flex flex-col gap-2">
        <div className="flex min-h-7 flex-wrap items-baseline justify-between gap-x-6 text-sm">
          <span>
            <b className="text-lg font-semibold">{format.number(step)}</b>
            <span className="text-muted">{total === null ? ` ${t("unit")}` : ` / ${t("steps", { total: format.number(total) })}`}</span>
            {!!total && <span className="pl-3 text-muted">{format.percent(Math.min(step / total, 1))}</span>}
          </span>
          <Outlook job={job} eta={latest?.eta_seconds ?? progress.eta_seconds} />
        </div>
        <Progress label={t("progress")} value={step} total={total ?? (ACTIVE.includes(progress.state) ? null : 1)} />
      </div>
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3 lg:grid-cols-6">
        <Stat name={t("loss")} value={latest?.loss ?? progress.loss} show={format.figure} />
        <Stat name={t("evalLoss")} value={evaluation?.loss ?? progress.eval_loss} show={format.figure} />
        <Stat name={t("best")} value={best?.loss} show={format.figure} note={best && t("atStep", { step: format.number(best.step) })} />
        <Stat name={t("speed")} value={latest?.tokens_per_second ?? progress.tokens_per_second} show={format.figure} note={t("speedUnit")} />
        <Stat name={t("memory")} value={latest?.memory ?? progress.memory} show={format.bytes} />
        <Stat name={t("time")} value={seconds} show={format.duration} />
      </dl>
    </Card>
  );
}

/** What comes next: the time left, the place in the queue, or a wish that is being fulfilled. */
function Outlook({ job, eta }: { job: Job; eta: number | null }) {
  const t = useTranslations("job.now");
  const format = useFormat();
  const { state, desired, position } = job.progress;
  const say = (words: ReactNode) => <span className="text-muted">{words}</span>;
  if (ACTIVE.includes(state)) {
    if (desired === "pause") return say(t("pausing"));
    if (desired === "cancel") return say(t("cancelling"));
    return say(eta === null ? t("preparing") : t("left", { time: format.duration(eta) }));
  }
  if (position !== null) return say(position === 0 ? t("next") : t("queue", { count: position }));
  return say(job.finished_at === null ? "" : t("ended", { time: format.date(job.finished_at) }));
}

interface StatProps {
  name: string;
  value: number | null | undefined;
  show: (value: number) => string;
  note?: ReactNode;
}

function Stat({ name, value, show, note }: StatProps) {
  const known = value !== null && value !== undefined;
  return (
    <div className="min-w-0">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="h-7 truncate text-lg leading-7 font-semibold">{known ? show(value) : <span className="text-muted">—</span>}</dd>
      <dd className="h-5 truncate text-xs text-muted">{known && note}</dd>
    </div>
  );
}
