"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";

export default function ModelsPage() {
  const t = useTranslations("models");
  return <Page title={t("title")} lead={t("lead")} />;
}
