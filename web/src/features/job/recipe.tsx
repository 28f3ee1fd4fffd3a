"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { CopyableCode } from "@/components/copyable-code";
import { jobRecipeQuery, recipeFormQuery, type Job } from "@/features/job/queries";
import { defaultsOf, differs, settingsOf, type Recipe as Values } from "@/features/job/settings";
import { SettingsTable } from "@/features/job/settings-table";
import { jobsQuery } from "@/features/jobs/queries";
import { Section } from "@/components/page";
import { ErrorNote, QueryStates } from "@/components/states";
import { Segments } from "@/components/ui/segments";
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
  const [shown, setShown] = useParam("settings");
  const form = useQuery(recipeFormQuery);
  const jobs = useQuery(jobsQuery);
  const others = jobs.data?.filter(({ id }) => id !== job.id) ?? [];
  const other = others.find(({ id }) => id === beside);
  const otherRecipe = useQuery({ ...jobRecipeQuery(other?.id ?? ""), enabled: other !== undefined });
  const error = otherRecipe.error ?? jobs.error;
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Segments
          label={t("which")}
          value={shown === "all" ? "all" : "differing"}
          onChange={(value) => setShown(value === "all" ? "all" : null)}
          options={[
            { value: "differing", label: t("differing") },
            { value: "all", label: t("all") },
          ]}
        />
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
      <QueryStates query={form} loading={<Skeleton className="h-120 rounded-2xl" />}>
        {({ fields }) => {
          const besides = other ? (otherRecipe.data?.recipe ?? {}) : defaultsOf(fields);
          const settings = settingsOf(fields, [recipe, besides]).filter((one) => shown === "all" || differs(one));
          if (settings.length === 0) return <p className="text-sm text-muted">{t("same")}</p>;
          return (
            <SettingsTable
              caption={t("caption")}
              titles={[job.name, other?.name ?? t("defaults")]}
              settings={settings}
              explained
            />
          );
        }}
      </QueryStates>
    </div>
  );
}
