"use client";

import { useQueries, type UseQueryResult } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import type { Known } from "@/features/job/compare/compared";
import { jobRecipeQuery } from "@/features/job/queries";
import { SettingsBeside, SettingsChoice } from "@/features/job/settings-beside";
import { Section } from "@/components/page";
import { ErrorNote } from "@/components/states";
import type { Schemas } from "@/lib/api";

/** In what the jobs were asked different things. */
export function Differences({ all }: { all: Known[] }) {
  const t = useTranslations("compare.settings");
  const { recipes, error } = useQueries({ queries: all.map(({ id }) => jobRecipeQuery(id)), combine: together });
  return (
    <Section title={t("title")} actions={<SettingsChoice />}>
      {error && <ErrorNote error={error} />}
      <SettingsBeside caption={t("title")} titles={all.map(({ job }) => job.name)} recipesOf={() => recipes} />
    </Section>
  );
}

function together(results: UseQueryResult<Schemas["RecipeOfJob"]>[]) {
  return {
    recipes: results.map(({ data }) => data?.recipe ?? {}),
    error: results.find(({ error }) => error)?.error,
  };
}
