"use client";

import { Radio } from "@base-ui/react/radio";
import { RadioGroup } from "@base-ui/react/radio-group";
import { useTranslations } from "use-intl";
import { Section } from "@/components/page";
import type { Form } from "@/features/new-job/use-form";
import type { Materials } from "@/features/new-job/use-materials";
import { textsOf, valuesOf } from "@/features/new-job/values";

/** Settings to begin from. Once something is changed, none of them is chosen any more. */
export function PresetChoice({ form, materials }: { form: Form; materials: Materials }) {
  const t = useTranslations("newJob.presets");
  const { fields, presets } = materials.form;
  const choices = presets.map((preset) => ({ ...preset, texts: textsOf(fields, preset.recipe) }));
  const chosen = choices.find(({ texts }) => same(valuesOf(fields, texts), form.values));
  return (
    <Section title={t("title")} lead={t("lead")} actions={<p className="text-xs text-muted">{!chosen && t("own")}</p>}>
      <RadioGroup
        aria-label={t("title")}
        value={chosen?.name ?? ""}
        onValueChange={(name) => form.setTexts(choices.find((one) => one.name === name)?.texts ?? {})}
        className="grid gap-3 sm:grid-cols-3"
      >
        {choices.map(({ name, title, help }) => (
          <Radio.Root
            key={name}
            value={name}
            render={<button type="button" />}
            nativeButton
            className="flex flex-col gap-1 rounded-2xl border border-line bg-surface p-4 text-left transition-colors hover:border-line-strong data-checked:border-accent data-checked:bg-accent-soft"
          >
            <span className="text-sm font-medium">{title}</span>
            <span className="text-xs leading-relaxed text-muted">{help}</span>
          </Radio.Root>
        ))}
      </RadioGroup>
    </Section>
  );
}

function same(one: object, other: object): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
