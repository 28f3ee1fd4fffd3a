"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { CopyableCode } from "@/components/copyable-code";
import { jobRecipeQuery, type Job } from "@/features/job/queries";
import { defaultsOf, type Recipe as Values } from "@/features/job/settings";
import { SettingsBeside, SettingsChoice } from "@/features/job/settings-beside";
import { jobsQuery } from "@/features/jobs/queries";
import { Section } from "@/components/page";
import { ErrorNote, QueryStates } from "@/components/states";
import { Select } from "@/components/ui/select";
import { Skeleton } from "@/components/ui/skeleton";
import { useParam } from "@/lib/use-param";

const DEFAULTS = "defaults";

/** The recipe as the job was started with it, beside the defaults or another job's. */
export function Recipe({ job }: { job: Job }) {
  const t = useTranslations("job.recipe");
  const query = useQuery(jobRecipeQuery(job.id));
  return (
    <QueryStates query={query} loading={<Skeleton className="h-180 rounded-2xl" />}>
      {({ recipe, resolved, yaml }) => (
        <div className="flex flex-col gap-8">
          <Compared job={job} recipe={recipe} resolved={resolved} />
          <Section title={t("yaml")} lead={t("yamlLead")}>
            <CopyableCode label={t("yaml")}>{yaml}</CopyableCode>
            <CopyableCode label={t("command")}>{`llmlora train --recipe recipe.yaml --data rows.jsonl --out out`}</CopyableCode>
          </Section>
        </div>
      )}
    </QueryStates>
  );
}

function Compared({ job, recipe, resolved }: { job: Job; recipe: Values; resolved: boolean }) {
  const t = useTranslations("job.recipe");
  const [beside, setBeside] = useParam("beside");
  const jobs = useQuery(jobsQuery);
  const others = jobs.data?.filter(({ id }) => id !== job.id) ?? [];
  const other = others.find(({ id }) => id === beside);
  const otherRecipe = useQuery({ ...jobRecipeQuery(other?.id ?? ""), enabled: other !== undefined });
  const error = otherRecipe.error ?? jobs.error;
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <SettingsChoice />
        <Select
          aria-label={t("beside")}
          value={other?.id ?? DEFAULTS}
          onChange={(value) => setBeside(value === DEFAULTS ? null : value)}
          options={[{ value: DEFAULTS, label: t("defaults") }, ...others.map(({ id, name }) => ({ value: id, label: name }))]}
          className="w-56"
        />
      </div>
      {!resolved && <p className="text-sm text-muted">{t("unresolved")}</p>}
      {error && <ErrorNote error={error} />}
      <SettingsBeside
        caption={t("caption")}
        titles={[job.name, other?.name ?? t("defaults")]}
        recipesOf={(fields) => [recipe, other ? (otherRecipe.data?.recipe ?? {}) : defaultsOf(fields)]}
        explained
      />
    </div>
  );
}
