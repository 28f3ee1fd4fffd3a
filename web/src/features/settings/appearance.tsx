"use client";

import { MonitorIcon, MoonIcon, SunIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { LocaleChoice } from "@/components/locale-choice";
import { Card, Section } from "@/components/page";
import { Segments } from "@/components/ui/segments";
import { THEMES, usePreferences, type Theme } from "@/lib/preferences";

const ICONS = { system: MonitorIcon, light: SunIcon, dark: MoonIcon };

/** Language and theme, kept in this browser. */
export function Appearance() {
  const t = useTranslations("settings");
  const theme = usePreferences((preferences) => preferences.theme);
  const option = (value: Theme) => {
    const Icon = ICONS[value];
    return { value, label: <><Icon aria-hidden />{t(`themes.${value}`)}</> };
  };
  return (
    <Section title={t("appearance")}>
      <Card className="flex flex-col gap-4">
        <Row name={t("language")}>
          <LocaleChoice />
        </Row>
        <Row name={t("theme")}>
          <Segments
            label={t("theme")}
            value={theme}
            onChange={(chosen) => usePreferences.setState({ theme: chosen })}
            options={THEMES.map(option)}
          />
        </Row>
      </Card>
    </Section>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2">
      <span className="text-sm">{name}</span>
      {children}
    </div>
  );
}
