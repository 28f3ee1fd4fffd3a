"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { JobStateBadge } from "@/components/job-state";
import { Card, Section } from "@/components/page";
import { RowLink } from "@/components/row-link";
import { QueryStates } from "@/components/states";
import { Progress } from "@/components/ui/progress";
import { Skeleton } from "@/components/ui/skeleton";
import { addressOf } from "@/features/shell/running-job";
import { systemQuery } from "@/features/system/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

/** What runs now, and how many wait behind it. The status strip keeps it live. */
export function RunningNow() {
  const t = useTranslations("home.running");
  const query = useQuery(systemQuery);
  const waiting = query.data?.counts.waiting ?? 0;
  return (
    <Section title={t("title")} actions={waiting > 0 && <p className="text-sm text-muted">{t("waiting", { count: waiting })}</p>}>
      <QueryStates
        query={query}
        loading={<Skeleton className="h-18 rounded-2xl" />}
        isEmpty={({ running }) => running.length === 0}
        empty={<Card className="flex h-18 items-center text-sm text-muted">{t("nothing")}</Card>}
      >
        {({ running }) => (
          <div className="flex flex-col gap-3">
            {running.map((job) => (
              <RunningCard key={job.id} job={job} />
            ))}
          </div>
        )}
      </QueryStates>
    </Section>
  );
}

function RunningCard({ job }: { job: Schemas["RunningJob"] }) {
  const t = useTranslations("running");
  const format = useFormat();
  return (
    <Card className="relative flex h-18 flex-col justify-center gap-2 py-0 transition-colors hover:border-line-strong">
      <div className="flex items-center justify-between gap-3 text-sm">
        <RowLink href={addressOf(job)} className="truncate">
          {job.name}
        </RowLink>
        {job.total_steps === null ? (
          <JobStateBadge state={job.state} />
        ) : (
          <span className="whitespace-nowrap text-muted">
            {t("steps", { step: format.number(job.step), total: format.number(job.total_steps) })}
          </span>
        )}
      </div>
      <Progress label={job.name} value={job.step} total={job.total_steps} />
    </Card>
  );
}
