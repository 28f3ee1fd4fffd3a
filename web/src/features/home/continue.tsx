"use client";

import { useQuery } from "@tanstack/react-query";
import { ActivityIcon, MessageCircleIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { JobStateBadge, type JobState } from "@/components/job-state";
import { Section } from "@/components/page";
import { RowLink } from "@/components/row-link";
import { ErrorNote } from "@/components/states";
import { chatsQuery } from "@/features/chats/queries";
import { jobsQuery } from "@/features/jobs/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

const MOST = 5;

interface Left {
  kind: "job" | "chat";
  id: string;
  name: string;
  at: number;
  state?: JobState;
}

/** The jobs and conversations last worked on. Nothing, before there are any. */
export function Continue() {
  const t = useTranslations("home.continue");
  const jobs = useQuery(jobsQuery);
  const chats = useQuery(chatsQuery);
  const error = jobs.error ?? chats.error;
  const left = newest(jobs.data ?? [], chats.data ?? []);
  if (!error && left.length === 0) return null;
  return (
    <Section title={t("title")}>
      {error && <ErrorNote error={error} onRetry={() => void Promise.all([jobs.refetch(), chats.refetch()])} />}
      {left.length > 0 && (
        <ul className="divide-y divide-line rounded-2xl border border-line bg-surface">
          {left.map((one) => (
            <LeftRow key={one.id} left={one} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function LeftRow({ left }: { left: Left }) {
  const t = useTranslations("home.continue");
  const format = useFormat();
  const Icon = left.kind === "job" ? ActivityIcon : MessageCircleIcon;
  return (
    <li className="relative flex items-center gap-3 px-5 py-3 text-sm transition-colors first:rounded-t-2xl last:rounded-b-2xl hover:bg-sunken/60">
      <Icon aria-label={t(left.kind)} role="img" className="size-4 shrink-0 text-muted" />
      <RowLink href={left.kind === "job" ? `/training/?id=${left.id}` : `/chat/?id=${left.id}`} className="min-w-0 flex-1 truncate">
        {left.name}
      </RowLink>
      {left.state && <JobStateBadge state={left.state} />}
      <time dateTime={new Date(left.at * 1000).toISOString()} title={format.date(left.at)} className="text-xs whitespace-nowrap text-muted">
        {format.ago(left.at)}
      </time>
    </li>
  );
}

function newest(jobs: Schemas["JobBody"][], chats: Schemas["ChatSummary"][]): Left[] {
  const all: Left[] = [
    ...jobs.map(({ id, name, progress, created_at, started_at, finished_at }) => {
      const at = finished_at ?? started_at ?? created_at;
      return { kind: "job" as const, id, name, at, state: progress.state };
    }),
    ...chats.map(({ id, name, updated_at }) => ({ kind: "chat" as const, id, name, at: updated_at })),
  ];
  return all.sort((one, other) => other.at - one.at).slice(0, MOST);
}
