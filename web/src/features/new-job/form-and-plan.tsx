"use client";

import { Basics } from "@/features/new-job/basics";
import { Advanced, OptionGroup } from "@/features/new-job/option-groups";
import { PlanPanel } from "@/features/new-job/plan-panel";
import { PresetChoice } from "@/features/new-job/preset-choice";
import { useForm } from "@/features/new-job/use-form";
import type { Materials } from "@/features/new-job/use-materials";
import { usePlan } from "@/features/new-job/use-plan";
import { useStart } from "@/features/new-job/use-start";
import { Failure } from "@/lib/failure";

/** The settings and, beside them, what they come to. */
export function FormAndPlan({ materials }: { materials: Materials }) {
  const form = useForm(materials);
  const plan = usePlan(form.request);
  const start = useStart(form);
  const told = [start.error, plan.query.error].filter((one) => one instanceof Failure);
  const problemOf = (field: string) => told.map((one) => one.problemOf(field)).find((one) => one !== undefined);
  const shared = { form, options: materials.form.fields, problemOf, resolved: plan.query.data?.recipe };
  return (
    <div className="grid grid-cols-1 items-start gap-8 lg:grid-cols-[minmax(0,1fr)_20rem] xl:grid-cols-[minmax(0,1fr)_22rem]">
      <div className="flex min-w-0 flex-col gap-8">
        <Basics form={form} materials={materials} problemOf={problemOf} />
        <PresetChoice form={form} materials={materials} />
        <OptionGroup group="lora" {...shared} />
        <OptionGroup group="training" {...shared} />
        <Advanced {...shared} />
      </div>
      <PlanPanel form={form} materials={materials} plan={plan} start={start} />
    </div>
  );
}
