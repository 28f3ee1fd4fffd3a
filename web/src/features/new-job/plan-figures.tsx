"use client";

import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Plan } from "@/features/new-job/use-plan";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

/** Time, steps, rows, parameters and memory. `parameters`: those of the model, where they are known. */
export function PlanFigures({ plan, parameters }: { plan: Plan; parameters: number | null }) {
  const t = useTranslations("newJob.plan");
  const format = useFormat();
  const { rows, eval_rows, skipped_rows, trainable_parameters } = plan;
  return (
    <div className="flex flex-col gap-4">
      <dl className="grid grid-cols-[3fr_2fr] gap-x-4 gap-y-3">
        <Figure large name={t("time")} value={t("about", { value: format.duration(plan.plan.seconds) })} />
        <Figure large name={t("steps")} value={format.number(plan.plan.total_steps)} />
        <Figure
          name={t("rows")}
          value={t("trained", { count: rows })}
          note={[
            eval_rows > 0 ? t("heldOut", { count: eval_rows }) : t("noneHeldOut"),
            ...(skipped_rows > 0 ? [t("skipped", { count: skipped_rows })] : []),
          ].join(" · ")}
        />
        <Figure
          name={t("parameters")}
          value={format.compact(trainable_parameters)}
          note={parameters !== null && t("share", { share: format.percent(trainable_parameters / parameters, 2) })}
        />
      </dl>
      <Memory plan={plan} />
    </div>
  );
}

function Figure({ name, value, note, large }: { name: string; value: ReactNode; note?: ReactNode; large?: boolean }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className={cn("leading-snug", large ? "text-lg font-semibold" : "text-sm font-medium")}>
        {value}
        {note && <span className="block text-xs font-normal text-muted">{note}</span>}
      </dd>
    </div>
  );
}

/** What it takes, the model's file and the training, beside what is free. */
function Memory({ plan }: { plan: Plan }) {
  const t = useTranslations("newJob.plan");
  const format = useFormat();
  const { memory } = plan.plan;
  const { free_memory, file_bytes } = plan;
  const width = (bytes: number) => ({ width: `${Math.min(100, (100 * bytes) / free_memory)}%` });
  return (
    <div className="flex flex-col gap-1.5">
      <p className="flex items-baseline justify-between gap-3 text-sm">
        <span className="text-xs text-muted">{t("memory")}</span>
        <span>
          <span className="font-medium">{t("about", { value: format.bytes(memory) })}</span>
          <span className="text-xs text-muted"> / {t("free", { value: format.bytes(free_memory) })}</span>
        </span>
      </p>
      <div className="flex h-2.5 overflow-hidden rounded-full bg-sunken">
        <span className="min-w-1.5 bg-[var(--chart-1)]" style={width(file_bytes)} />
        <span className="bg-[var(--chart-2)]" style={width(memory - file_bytes)} />
      </div>
      <p className="flex flex-wrap gap-x-4 text-xs text-muted">
        <Key colour="bg-[var(--chart-1)]">{t("memoryModel", { value: format.bytes(file_bytes) })}</Key>
        <Key colour="bg-[var(--chart-2)]">{t("memoryTraining", { value: format.bytes(memory - file_bytes) })}</Key>
      </p>
    </div>
  );
}

function Key({ colour, children }: { colour: string; children: ReactNode }) {
  return (
    <span className="flex items-center gap-1.5">
      <span aria-hidden className={cn("size-2 rounded-full", colour)} />
      {children}
    </span>
  );
}
