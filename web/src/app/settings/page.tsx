"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { Access } from "@/features/settings/access";
import { Appearance } from "@/features/settings/appearance";
import { Installation } from "@/features/settings/installation";

export default function SettingsPage() {
  const t = useTranslations("settings");
  return (
    <Page title={t("title")}>
      <Appearance />
      <Access />
      <Installation />
    </Page>
  );
}
