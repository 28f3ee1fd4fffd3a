"use client";

import { useQuery } from "@tanstack/react-query";
import { QuoteIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { FINAL, samplesQuery, type Job } from "@/features/job/queries";
import { Card } from "@/components/page";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

type Sample = Schemas["Sample"];

/** The answers to the same prompts as the training went on: a strip of film for each. */
export function Samples({ job }: { job: Job }) {
  const t = useTranslations("job.samples");
  const query = useQuery(samplesQuery(job.id));
  return (
    <QueryStates
      query={query}
      loading={<Skeleton className="h-64 rounded-2xl" />}
      isEmpty={(samples) => samples.length === 0}
      empty={<NoSamples job={job} />}
    >
      {(samples) => (
        <div className="flex flex-col gap-4">
          <p className="text-sm text-muted">{t("lead")}</p>
          {byPrompt(samples).map(([prompt, answers]) => (
            <Strip key={prompt} prompt={prompt} answers={answers} />
          ))}
        </div>
      )}
    </QueryStates>
  );
}

function NoSamples({ job }: { job: Job }) {
  const t = useTranslations("job.samples");
  const asked = (job.recipe.sample_prompts as string[]).length > 0 && !FINAL.includes(job.progress.state);
  return (
    <Empty
      icon={QuoteIcon}
      title={asked ? t("soonTitle") : t("noneTitle")}
      action={!asked && <ButtonLink href={`/training/new/?from=${job.id}`}>{t("again")}</ButtonLink>}
    >
      {asked ? t("soon") : t("none")}
    </Empty>
  );
}

function Strip({ prompt, answers }: { prompt: string; answers: Sample[] }) {
  const t = useTranslations("job.samples");
  const format = useFormat();
  return (
    <Card className="flex flex-col gap-3 px-0">
      <h2 className="px-5 text-sm font-medium whitespace-pre-wrap">{prompt}</h2>
      <ol tabIndex={0} aria-label={prompt} className="flex snap-x scroll-px-5 gap-3 overflow-x-auto px-5 pb-1 -outline-offset-2">
        {answers.map(({ step, answer }, at) => (
          <li key={`${step} ${at}`} className="flex w-64 shrink-0 snap-start flex-col gap-1 rounded-xl bg-sunken p-3">
            <span className="text-xs text-muted">{t("step", { step: format.number(step) })}</span>
            <span className="max-h-60 overflow-y-auto text-sm whitespace-pre-wrap">{answer || t("nothing")}</span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** In the order of the recipe, each prompt's answers in the order of the steps. */
export function byPrompt(samples: readonly Sample[]): [string, Sample[]][] {
  const strips = new Map<string, Sample[]>();
  for (const sample of samples) strips.set(sample.prompt, [...(strips.get(sample.prompt) ?? []), sample]);
  return [...strips];
}
