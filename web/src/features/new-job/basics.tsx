"use client";

import Link from "next/link";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Card } from "@/components/page";
import { Field, Input } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import type { Form } from "@/features/new-job/use-form";
import type { Materials } from "@/features/new-job/use-materials";
import { useFormat } from "@/lib/use-format";

export type ProblemOf = (field: string) => string | undefined;

interface Props {
  form: Form;
  materials: Materials;
  problemOf: ProblemOf;
}

/** What stands between `<link>` and `</link>` leads there. */
function linkTo(href: string) {
  const link = (text: ReactNode) => (
    <Link href={href} className="text-accent underline underline-offset-4">
      {text}
    </Link>
  );
  return { link };
}

/** What is trained on what, and what it is called. */
export function Basics({ form, materials, problemOf }: Props) {
  const t = useTranslations("newJob.basics");
  return (
    <Card className="flex flex-col gap-5">
      <ModelField form={form} materials={materials} problemOf={problemOf} />
      <DatasetField form={form} materials={materials} problemOf={problemOf} />
      <Field label={t("name")} help={t("nameHelp")} error={problemOf("name")}>
        <Input value={form.name} maxLength={200} placeholder={form.suggestion} onChange={(event) => form.setName(event.target.value)} />
      </Field>
    </Card>
  );
}

function ModelField({ form, materials, problemOf }: Props) {
  const t = useTranslations("newJob.basics");
  const format = useFormat();
  const { models } = materials.models;
  const chosen = models.find(({ name }) => name === form.model);
  const unknown = form.model !== null && !chosen ? [{ value: form.model, label: form.model }] : [];
  const options = models.map(({ name, trainable, reason, size, parameters }) => {
    const facts = [parameters && t("parameters", { count: format.compact(parameters) }), size && format.bytes(size)];
    const note = trainable ? facts.filter(Boolean).join(" · ") : t("notTrainable", { reason: reason ?? "–" });
    return { value: name, label: name, note, disabled: !trainable };
  });
  const refused = chosen && !chosen.trainable ? t("notTrainable", { reason: chosen.reason ?? "–" }) : undefined;
  return (
    <Field
      label={t("model")}
      error={problemOf("recipe.model") ?? refused}
      help={t.rich("modelHelp", linkTo("/models/"))}
    >
      <Select value={form.model} onChange={form.setModel} options={[...unknown, ...options]} placeholder={t("choose")} />
    </Field>
  );
}

function DatasetField({ form, materials, problemOf }: Props) {
  const t = useTranslations("newJob.basics");
  const format = useFormat();
  const options = materials.datasets.map(({ id, name, rows, problems }) => ({
    value: id,
    label: name,
    note: problems > 0 ? t("rowsWithProblems", { rows: format.number(rows), problems }) : t("rows", { count: rows }),
  }));
  return (
    <Field
      label={t("dataset")}
      error={problemOf("dataset_id")}
      help={options.length > 0 ? t.rich("datasetHelp", linkTo("/datasets/")) : t.rich("noDataset", linkTo("/datasets/"))}
    >
      <Select
        value={form.datasetId}
        onChange={form.setDataset}
        options={options}
        disabled={options.length === 0}
        placeholder={options.length > 0 ? t("choose") : t("none")}
      />
    </Field>
  );
}
