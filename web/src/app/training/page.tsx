"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";

export default function TrainingPage() {
  const t = useTranslations("training");
  return <Page title={t("title")} lead={t("lead")} />;
}
