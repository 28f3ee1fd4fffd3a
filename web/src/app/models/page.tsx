"use client";

import { Suspense } from "react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { ModelDetails } from "@/features/models/model-details";
import { ModelTable } from "@/features/models/model-table";
import { Pulls } from "@/features/models/pulls";
import { useParam } from "@/lib/use-param";

export default function ModelsPage() {
  return (
    <Suspense>
      <Models />
    </Suspense>
  );
}

function Models() {
  const t = useTranslations("models");
  const [name] = useParam("name");
  if (name !== null) return <ModelDetails key={name} name={name} />;
  return (
    <Page title={t("title")} lead={t("lead")}>
      <ModelTable />
      <Pulls />
    </Page>
  );
}
