"use client";

import { ChevronRightIcon } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import type { ProblemOf } from "@/features/new-job/basics";
import { OptionField } from "@/features/new-job/option-field";
import type { Form } from "@/features/new-job/use-form";
import { optionsOf, type Group, type Option, type Values } from "@/features/new-job/values";

interface Props {
  form: Form;
  options: Option[];
  problemOf: ProblemOf;
  /** What the rules gave where a field is empty. */
  resolved: Values | undefined;
}

/** Options that belong together, each with what it does and what is allowed. */
export function OptionGroup({ group, ...props }: Props & { group: Exclude<Group, "advanced"> }) {
  const t = useTranslations("newJob.groups");
  return (
    <Section title={t(`${group}.title`)} lead={t(`${group}.lead`)}>
      <Card>
        <Fields {...props} options={optionsOf(props.options, group)} />
      </Card>
    </Section>
  );
}

/** Everything else, folded away until someone wants it or something in it is wrong. */
export function Advanced(props: Props) {
  const t = useTranslations("newJob.groups");
  const options = optionsOf(props.options, "advanced");
  const [wanted, want] = useState(false);
  const wrong = options.some(({ name }) => props.problemOf(`recipe.${name}`));
  return (
    <details
      className="group rounded-2xl border border-line bg-surface"
      open={wanted || wrong}
      onToggle={(event) => want(event.currentTarget.open)}
    >
      <summary className="flex min-h-12 items-center gap-3 rounded-2xl px-5 py-2.5 font-semibold">
        <ChevronRightIcon aria-hidden className="size-4 shrink-0 text-muted transition-transform group-open:rotate-90" />
        <span className="shrink-0">{t("advanced.title")}</span>
        <span className="text-xs font-normal text-muted">{t("advanced.lead")}</span>
      </summary>
      <div className="border-t border-line p-5">
        <Fields {...props} options={options} />
      </div>
    </details>
  );
}

function Fields({ options, form, problemOf, resolved }: Props) {
  return (
    <div className="@container">
      <div className="grid gap-x-6 gap-y-5 @md:grid-cols-2">
        {options.map((option) => (
          <OptionField
            key={option.name}
            option={option}
            text={form.texts[option.name]}
            onChange={(text) => form.setText(option.name, text)}
            error={problemOf(`recipe.${option.name}`)}
            resolved={resolved?.[option.name]}
            model={form.model}
          />
        ))}
      </div>
    </div>
  );
}
