"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";

export default function DatasetsPage() {
  const t = useTranslations("datasets");
  return <Page title={t("title")} lead={t("lead")} />;
}
