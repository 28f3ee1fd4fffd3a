"use client";

import { useQuery } from "@tanstack/react-query";
import { ActivityIcon, ArrowLeftIcon, MessageCircleIcon } from "lucide-react";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { Facts, type Fact } from "@/components/facts";
import { Card, Page, Section } from "@/components/page";
import { Prose } from "@/components/prose";
import { QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Anatomy } from "@/features/models/anatomy";
import { modelQuery } from "@/features/models/queries";
import { Template } from "@/features/models/template";
import { TensorTypes } from "@/features/models/tensor-types";
import { Verdict } from "@/features/models/verdict";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

type Details = Schemas["ModelDetails"];

/** One base: can it be trained, what is it made of, how does it see a conversation. */
export function ModelDetails({ name }: { name: string }) {
  const t = useTranslations("models.details");
  const query = useQuery(modelQuery(name));
  return (
    <Page
      title={name}
      lead={
        <Link href="/models/" className="inline-flex items-center gap-1.5 hover:text-text">
          <ArrowLeftIcon aria-hidden className="size-4" />
          {t("back")}
        </Link>
      }
      actions={query.data && <Deeds model={query.data} />}
    >
      <QueryStates query={query} loading={<Skeleton className="h-180 rounded-2xl" />}>
        {(model) => (
          <>
            <Judgement model={model} />
            <FactSheet model={model} />
            {model.tensor_types && model.tensor_types.length > 0 && (
              <Section title={t("types")} lead={t("typesLead")}>
                <Card>
                  <TensorTypes types={model.tensor_types} />
                </Card>
              </Section>
            )}
            {model.layers && model.targets && model.targets.length > 0 && (
              <Section title={t("inside")}>
                <Anatomy layers={model.layers} targets={model.targets} />
              </Section>
            )}
            {model.path && (
              <Template origin={model.chat_template ?? null} source={model.template ?? null} rendering={model.rendering ?? null} />
            )}
          </>
        )}
      </QueryStates>
    </Page>
  );
}

function Deeds({ model }: { model: Details }) {
  const t = useTranslations("models.details");
  const name = encodeURIComponent(model.name);
  return (
    <>
      {model.path && (
        <ButtonLink href={`/chat/?model=${name}`}>
          <MessageCircleIcon aria-hidden />
          {t("talk")}
        </ButtonLink>
      )}
      {model.trainable && (
        <ButtonLink href={`/training/new/?model=${name}`} variant="primary">
          <ActivityIcon aria-hidden />
          {t("train")}
        </ButtonLink>
      )}
    </>
  );
}

function Judgement({ model }: { model: Details }) {
  const t = useTranslations("models.details");
  return (
    <Card className="flex flex-wrap items-start gap-x-4 gap-y-2 text-sm">
      <Verdict trainable={model.trainable} />
      <div className="min-w-0 flex-1 basis-60">
        <p>{model.trainable ? t("canBeTrained") : model.reason}</p>
        {model.hint && <Prose className="text-muted">{model.hint}</Prose>}
      </div>
    </Card>
  );
}

function FactSheet({ model }: { model: Details }) {
  const t = useTranslations("models.details");
  const format = useFormat();
  const mono = (text: string) => <span className="font-mono text-[0.8125rem]">{text}</span>;
  const fact = (name: string, value: Fact["value"] | null | undefined, note?: string): Fact[] =>
    value === null || value === undefined ? [] : [{ name, value, note }];
  const { parameters, size, tokenizer } = model;
  const bits = parameters && size ? t("bits", { bits: format.number((8 * size) / parameters, { maximumFractionDigits: 1 }) }) : undefined;
  return (
    <Facts
      facts={[
        ...fact(t("architecture"), model.architecture),
        ...fact(t("parameters"), parameters && format.number(parameters)),
        ...fact(t("size"), size && format.bytes(size), bits),
        ...fact(t("context"), model.context_length && t("tokens", { count: model.context_length }), t("contextNote")),
        ...fact(
          t("tokenizer"),
          tokenizer && t("vocabulary", { count: tokenizer.vocabulary }),
          tokenizer ? [tokenizer.model, tokenizer.pre].filter(Boolean).join(" / ") : undefined,
        ),
        ...fact(t("license"), model.license, t("licenseNote")),
        ...fact(t("file"), model.path && mono(model.path)),
        ...fact(t("digest"), model.digest && mono(model.digest)),
      ]}
    />
  );
}
