"use client";

import { lazy, Suspense } from "react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { DatasetList } from "@/features/datasets/dataset-list";
import { useParam } from "@/lib/use-param";

const DatasetView = lazy(() => import("@/features/datasets/dataset-view")); // the list is there without it

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
