"use client";

import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { ButtonLink } from "@/components/ui/button";

export default function NotFound() {
  const t = useTranslations("notFound");
  return (
    <Page title={t("title")} lead={t("lead")}>
      <div>
        <ButtonLink href="/">{t("home")}</ButtonLink>
      </div>
    </Page>
  );
}
