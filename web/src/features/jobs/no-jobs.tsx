"use client";

import { useQuery } from "@tanstack/react-query";
import { ActivityIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { datasetsQuery } from "@/features/jobs/materials";

const FIRST_STEPS = { data: "/datasets/", job: "/training/new/" };

/** No job yet: the first step is the data, and where there is some, the job. */
export function NoJobs() {
  const query = useQuery(datasetsQuery);
  return (
    <QueryStates
      query={query}
      loading={<Skeleton className="h-68 rounded-2xl" />}
      isEmpty={(datasets) => datasets.length === 0}
      empty={<Begin step="data" />}
    >
      {() => <Begin step="job" />}
    </QueryStates>
  );
}

function Begin({ step }: { step: keyof typeof FIRST_STEPS }) {
  const t = useTranslations("training.empty");
  return (
    <Empty
      icon={ActivityIcon}
      title={t("title")}
      action={
        <ButtonLink href={FIRST_STEPS[step]} variant="primary">
          {t(`${step}.action`)}
        </ButtonLink>
      }
    >
      {t(`${step}.text`)}
    </Empty>
  );
}
