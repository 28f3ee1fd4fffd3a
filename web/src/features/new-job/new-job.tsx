"use client";

import { lazy, Suspense } from "react";
import { useTranslations } from "use-intl";
import { Card, Page } from "@/components/page";
import { ErrorNote, Loading } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { useMaterials } from "@/features/new-job/use-materials";

/** Comes while its data does. */
const FormAndPlan = lazy(() => import("@/features/new-job/form-and-plan").then((module) => ({ default: module.FormAndPlan })));

/** The form of a job and, beside it, what it would come to. */
export function NewJob() {
  const t = useTranslations("newJob");
  const { data, error, retry } = useMaterials();
  return (
    <Page title={t("title")} lead={data?.from ? t("leadFrom", { name: data.from.name }) : t("lead")}>
      {error ? (
        <ErrorNote error={error} onRetry={retry} />
      ) : (
        <Suspense fallback={<Skeletons />}>{data ? <FormAndPlan materials={data} /> : <Skeletons />}</Suspense>
      )}
    </Page>
  );
}

function Skeletons() {
  return (
    <div className="grid grid-cols-1 gap-8 lg:grid-cols-[minmax(0,1fr)_20rem] xl:grid-cols-[minmax(0,1fr)_22rem]">
      <Loading>
        <Skeleton className="h-56 rounded-2xl" />
        <Skeleton className="h-40 rounded-2xl" />
        <Skeleton className="h-80 rounded-2xl" />
      </Loading>
      <Card className="h-112">
        <Skeleton className="h-9" />
      </Card>
    </div>
  );
}
