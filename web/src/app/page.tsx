"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { Continue } from "@/features/home/continue";
import { FirstSteps } from "@/features/home/first-steps";
import { RunningNow } from "@/features/home/running-now";
import { SystemCheck } from "@/features/home/system-check";

export default function HomePage() {
  const t = useTranslations("home");
  return (
    <Page title={t("title")} lead={t("lead")}>
      <RunningNow />
      <FirstSteps />
      <Continue />
      <SystemCheck />
    </Page>
  );
}
