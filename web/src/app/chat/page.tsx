"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";

export default function ChatPage() {
  const t = useTranslations("chat");
  return <Page title={t("title")} lead={t("lead")} />;
}
