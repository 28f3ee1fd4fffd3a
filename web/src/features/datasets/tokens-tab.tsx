"use client";

import { useQuery } from "@tanstack/react-query";
import { BoxIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import { Skeleton } from "@/components/ui/skeleton";
import type { DatasetDetails } from "@/features/datasets/queries";
import { Statistics } from "@/features/datasets/statistics";
import { TokenRow } from "@/features/datasets/token-row";
import { LENGTHS, useView, wholeNumber } from "@/features/datasets/use-view";
import { modelsQuery } from "@/features/models/queries";
import type { Schemas } from "@/lib/api";
import { onEnter } from "@/lib/composing";
import { useFormat } from "@/lib/use-format";

/** The data as a model sees it: how long the rows are for it, and every token of one. */
export function TokensTab({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.tokens");
  const query = useQuery(modelsQuery);
  return (
    <QueryStates
      query={query}
      loading={<Skeleton className="h-96 rounded-2xl" />}
      isEmpty={({ models }) => !models.some(({ trainable }) => trainable)}
      empty={
        <Empty icon={BoxIcon} title={t("noModel")} action={<ButtonLink href="/models/">{t("models")}</ButtonLink>}>
          {t("noModelText")}
        </Empty>
      }
    >
      {({ models }) => <ForModel dataset={dataset} models={models.filter(({ trainable }) => trainable)} />}
    </QueryStates>
  );
}

function ForModel({ dataset, models }: { dataset: DatasetDetails; models: Schemas["ModelBody"][] }) {
  const t = useTranslations("datasets.tokens");
  const format = useFormat();
  const { model: asked, length, go, place } = useView(dataset.id);
  const model = asked ?? models[0]?.name ?? "";
  const setLength = (text: string) => {
    const value = wholeNumber(text, LENGTHS.min, LENGTHS.max);
    if (value !== undefined && value !== length) go({ length: value, ...place });
  };
  return (
    <div className="flex flex-col gap-8">
      <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_12rem]">
        <Field label={t("model")} help={t("modelHelp")}>
          <Select
            value={model}
            onChange={(chosen) => go({ model: chosen, ...place })}
            options={models.map(({ name }) => ({ value: name, label: name }))}
          />
        </Field>
        <Field label={t("length")} help={t("lengthHelp")} range={`${LENGTHS.min}–${format.number(LENGTHS.max)}`}>
          <Input
            key={length}
            type="number"
            min={LENGTHS.min}
            max={LENGTHS.max}
            defaultValue={length}
            onBlur={({ currentTarget }) => setLength(currentTarget.value)}
            onKeyDown={(event) => onEnter(() => setLength(event.currentTarget.value))(event)}
          />
        </Field>
      </div>
      <Statistics dataset={dataset} model={model} length={length} />
      <TokenRow dataset={dataset} model={model} length={length} />
    </div>
  );
}
