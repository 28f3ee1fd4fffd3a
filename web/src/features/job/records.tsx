"use client";

import { useQuery } from "@tanstack/react-query";
import { RefreshCwIcon, SaveIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { checkpointsQuery, logQuery, type Job } from "@/features/job/queries";
import { DataTable } from "@/components/data-table";
import { Section } from "@/components/page";
import { Empty, QueryStates } from "@/components/states";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { useFormat } from "@/lib/use-format";

/** What lies on the disk of the job while it goes: its checkpoints and its log. */
export function Records({ job }: { job: Job }) {
  return (
    <div className="flex flex-col gap-8">
      <Checkpoints job={job} />
      <Log job={job} />
    </div>
  );
}

function Checkpoints({ job }: { job: Job }) {
  const t = useTranslations("job.checkpoints");
  const format = useFormat();
  const query = useQuery(checkpointsQuery(job.id));
  return (
    <Section title={t("title")} lead={t("lead")}>
      <QueryStates
        query={query}
        loading={<Skeleton className="h-32 rounded-2xl" />}
        isEmpty={(checkpoints) => checkpoints.length === 0}
        empty={<Empty icon={SaveIcon} title={t("noneTitle")}>{t("none")}</Empty>}
      >
        {(checkpoints) => (
          <DataTable
            caption={t("title")}
            rows={checkpoints.toReversed()}
            rowKey={({ step }) => String(step)}
            columns={[
              { key: "step", title: t("step"), cell: ({ step }) => format.number(step) },
              { key: "best", title: t("note"), cell: ({ best }) => best && <Badge tone="good">{t("best")}</Badge> },
              { key: "bytes", title: t("size"), cell: ({ bytes }) => format.bytes(bytes), numeric: true },
            ]}
          />
        )}
      </QueryStates>
    </Section>
  );
}

function Log({ job }: { job: Job }) {
  const t = useTranslations("job.log");
  const query = useQuery(logQuery(job.id));
  return (
    <Section
      title={t("title")}
      lead={query.data?.truncated ? t("tail") : t("lead")}
      actions={
        <Button size="sm" onClick={() => void query.refetch()} busy={query.isFetching}>
          <RefreshCwIcon aria-hidden />
          {t("again")}
        </Button>
      }
    >
      <QueryStates
        query={query}
        loading={<Skeleton className="h-64 rounded-2xl" />}
        isEmpty={({ text }) => text === ""}
        empty={<p className="text-sm text-muted">{t("none")}</p>}
      >
        {({ text }) => (
          <pre
            key={text.length}
            ref={(element) => element?.scrollTo(0, element.scrollHeight)}
            tabIndex={0}
            role="region"
            aria-label={t("title")}
            className="max-h-120 overflow-auto rounded-2xl border border-line bg-sunken p-4 font-mono text-xs leading-relaxed whitespace-pre-wrap"
          >
            {text}
          </pre>
        )}
      </QueryStates>
    </Section>
  );
}
