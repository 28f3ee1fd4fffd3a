"use client";

import { useQueries, type UseQueryResult } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import type { Known } from "@/features/job/compare/compared";
import { Swatch } from "@/features/job/plot";
import { samplesQuery } from "@/features/job/queries";
import { Card, Section } from "@/components/page";
import { ErrorNote } from "@/components/states";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

type Sample = Schemas["Sample"];

/** The newest answers to the prompts, of all jobs that were asked. */
export function SamplesBeside({ all }: { all: Known[] }) {
  const t = useTranslations("compare.samples");
  const { samples, error } = useQueries({ queries: all.map(({ id }) => samplesQuery(id)), combine: together });
  const prompts = [...new Set(samples.flatMap((some) => some.map(({ prompt }) => prompt)))];
  return (
    <Section title={t("title")} lead={t("lead")}>
      {error && <ErrorNote error={error} />}
      {prompts.length === 0 && <p className="text-sm text-muted">{t("none")}</p>}
      {prompts.map((prompt) => (
        <Card key={prompt} className="flex flex-col gap-3 px-0">
          <h3 className="px-5 text-sm font-medium whitespace-pre-wrap">{prompt}</h3>
          <ul tabIndex={0} aria-label={prompt} className="flex gap-3 overflow-x-auto px-5 pb-1 -outline-offset-2">
            {all.map((one, at) => (
              <Answer key={one.id} one={one} sample={samples[at]?.findLast((sample) => sample.prompt === prompt)} />
            ))}
          </ul>
        </Card>
      ))}
    </Section>
  );
}

function Answer({ one: { job, line }, sample }: { one: Known; sample: Sample | undefined }) {
  const t = useTranslations("compare.samples");
  const format = useFormat();
  return (
    <li className="flex w-64 shrink-0 grow flex-col gap-1 rounded-xl bg-sunken p-3">
      <span className="flex items-center gap-2 text-xs">
        <Swatch line={line} />
        <span className="min-w-0 truncate font-medium">{job.name}</span>
        {sample && <span className="ml-auto whitespace-nowrap text-muted">{t("step", { step: format.number(sample.step) })}</span>}
      </span>
      <span className="max-h-60 overflow-y-auto text-sm whitespace-pre-wrap">
        {sample ? sample.answer : <span className="text-muted">{t("notAsked")}</span>}
      </span>
    </li>
  );
}

function together(results: UseQueryResult<Sample[]>[]) {
  return {
    samples: results.map(({ data }) => data ?? []),
    error: results.find(({ error }) => error)?.error,
  };
}
