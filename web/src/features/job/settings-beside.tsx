"use client";

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { recipeFormQuery } from "@/features/job/queries";
import { differs, settingsOf, type Recipe } from "@/features/job/settings";
import { SettingsTable } from "@/features/job/settings-table";
import { QueryStates } from "@/components/states";
import { Segments } from "@/components/ui/segments";
import { Skeleton } from "@/components/ui/skeleton";
import type { Schemas } from "@/lib/api";
import { useParam } from "@/lib/use-param";

const useShown = () => useParam("settings");

/** Whether all settings are shown or those that differ; it stands in the address. */
export function SettingsChoice() {
  const t = useTranslations("job.settings");
  const [shown, setShown] = useShown();
  return (
    <Segments
      label={t("which")}
      value={shown === "all" ? "all" : "differing"}
      onChange={(value) => setShown(value === "all" ? "all" : null)}
      options={[
        { value: "differing", label: t("differing") },
        { value: "all", label: t("all") },
      ]}
    />
  );
}

interface Props {
  caption: string;
  titles: ReactNode[];
  /** One a title, of the options there are. */
  recipesOf: (fields: Schemas["FieldBody"][]) => Recipe[];
  /** Say what each setting does. */
  explained?: boolean;
}

/** The settings of recipes beside each other, as `SettingsChoice` says. */
export function SettingsBeside({ recipesOf, ...table }: Props) {
  const t = useTranslations("job.settings");
  const [shown] = useShown();
  const form = useQuery(recipeFormQuery);
  return (
    <QueryStates query={form} loading={<Skeleton className="h-120 rounded-2xl" />}>
      {({ fields }) => {
        const settings = settingsOf(fields, recipesOf(fields)).filter((one) => shown === "all" || differs(one));
        if (settings.length === 0) return <p className="text-sm text-muted">{t("same")}</p>;
        return <SettingsTable {...table} settings={settings} />;
      }}
    </QueryStates>
  );
}
