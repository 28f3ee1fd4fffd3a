"use client";

import { Suspense } from "react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { DatasetList } from "@/features/datasets/dataset-list";
import { DatasetView } from "@/features/datasets/dataset-view";
import { useParam } from "@/lib/use-param";

export default function DatasetsPage() {
  const t = useTranslations("datasets");
  return (
    <Suspense fallback={<Page title={t("title")} />}>
      <Datasets />
    </Suspense>
  );
}

function Datasets() {
  const [id] = useParam("id");
  return id === null ? <DatasetList /> : <DatasetView key={id} id={id} />;
}
