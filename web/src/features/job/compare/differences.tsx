"use client";

import { useQueries, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import type { Known } from "@/features/job/compare/compared";
import { jobRecipeQuery, recipeFormQuery } from "@/features/job/queries";
import { differs, settingsOf } from "@/features/job/settings";
import { SettingsTable } from "@/features/job/settings-table";
import { Section } from "@/components/page";
import { ErrorNote, QueryStates } from "@/components/states";
import { Segments } from "@/components/ui/segments";
import { Skeleton } from "@/components/ui/skeleton";
import type { Schemas } from "@/lib/api";
import { useParam } from "@/lib/use-param";

/** In what the jobs were asked different things. */
export function Differences({ all }: { all: Known[] }) {
  const t = useTranslations("compare.settings");
  const [shown, setShown] = useParam("settings");
  const form = useQuery(recipeFormQuery);
  const { recipes, error } = useQueries({ queries: all.map(({ id }) => jobRecipeQuery(id)), combine: together });
  return (
    <Section
      title={t("title")}
      actions={
        <Segments
          label={t("which")}
          value={shown === "all" ? "all" : "differing"}
          onChange={(value) => setShown(value === "all" ? "all" : null)}
          options={[
            { value: "differing", label: t("differing") },
            { value: "all", label: t("all") },
          ]}
        />
      }
    >
      {error && <ErrorNote error={error} />}
      <QueryStates query={form} loading={<Skeleton className="h-48 rounded-2xl" />}>
        {({ fields }) => {
          const settings = settingsOf(fields, recipes).filter((one) => shown === "all" || differs(one));
          if (settings.length === 0) return <p className="text-sm text-muted">{t("same")}</p>;
          return <SettingsTable caption={t("title")} titles={all.map(({ job }) => job.name)} settings={settings} />;
        }}
      </QueryStates>
    </Section>
  );
}

function together(results: UseQueryResult<Schemas["RecipeOfJob"]>[]) {
  return {
    recipes: results.map(({ data }) => data?.recipe ?? {}),
    error: results.find(({ error }) => error)?.error,
  };
}
