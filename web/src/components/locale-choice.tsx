"use client";

import { useTranslations } from "use-intl";
import { Segments } from "@/components/ui/segments";
import { useLocale, usePreferences } from "@/lib/preferences";

/** Each language in its own words: who cannot read the page finds the way out. */
export function LocaleChoice() {
  const t = useTranslations("settings");
  return (
    <Segments
      label={t("language")}
      value={useLocale()}
      onChange={(locale) => usePreferences.setState({ locale })}
      options={[
        { value: "ja", label: "日本語", lang: "ja" },
        { value: "en", label: "English", lang: "en" },
      ]}
    />
  );
}
