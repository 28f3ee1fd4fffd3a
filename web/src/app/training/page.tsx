"use client";

import { Suspense } from "react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { JobPage } from "@/features/job/job-page";
import { useParam } from "@/lib/use-param";

export default function TrainingPage() {
  return (
    <Suspense>
      <JobOrList />
    </Suspense>
  );
}

function JobOrList() {
  const t = useTranslations("training");
  const [id] = useParam("id");
  return id ? <JobPage id={id} /> : <Page title={t("title")} lead={t("lead")} />;
}
