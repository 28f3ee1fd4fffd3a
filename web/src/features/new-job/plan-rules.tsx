"use client";

import { useTranslations } from "use-intl";
import { Fold } from "@/features/new-job/fold";
import type { Plan } from "@/features/new-job/use-plan";
import type { Option, Values } from "@/features/new-job/values";
import { useFormat } from "@/lib/use-format";

/** What nobody has said, and a rule or this machine has decided; and why it is computed as it is. */
export function PlanRules({ plan, values, options }: { plan: Plan; values: Values; options: Option[] }) {
  const t = useTranslations("newJob.rules");
  const format = useFormat();
  const { eval_every, save_every, total_steps } = plan.plan;
  const resolved = options
    .filter(({ name, nullable }) => nullable && !(name in values) && typeof plan.recipe[name] === "number")
    .map(({ name }) => [name, format.figure(plan.recipe[name] as number)] as const);
  const every = (steps: number) => (steps >= total_steps ? t("atTheEnd") : t("every", { steps }));
  const facts = [
    ...resolved,
    [t("evaluation"), every(eval_every)],
    [t("checkpoints"), every(save_every)],
  ] as const;
  return (
    <Fold title={t("title")}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-xs">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-muted">{name in plan.recipe ? <code className="font-mono">{name}</code> : name}</dt>
            <dd className="text-right">{value}</dd>
          </div>
        ))}
      </dl>
      <ul aria-label={t("way")} className="mt-3 flex list-disc flex-col gap-1.5 pl-4 text-xs text-muted">
        {plan.reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </Fold>
  );
}
