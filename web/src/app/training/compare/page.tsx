"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";

export default function ComparePage() {
  const t = useTranslations("compare");
  return <Page title={t("title")} lead={t("lead")} />;
}
