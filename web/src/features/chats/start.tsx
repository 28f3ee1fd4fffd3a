"use client";

import { useQuery } from "@tanstack/react-query";
import { ActivityIcon, BoxIcon, type LucideIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Page, Section } from "@/components/page";
import { RowLink } from "@/components/row-link";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { ChatList } from "@/features/chats/chat-list";
import { jobsQuery } from "@/features/jobs/queries";
import { modelsQuery } from "@/features/models/queries";
import type { Schemas } from "@/lib/api";

/** With whom to begin; on a phone also what was begun before. */
export function Start() {
  const t = useTranslations("chat");
  const jobs = useQuery({ ...jobsQuery, select: trained });
  const models = useQuery(modelsQuery);
  const loading = <Skeleton className="h-30 rounded-2xl" />;
  return (
    <Page title={t("title")} lead={t("lead")}>
      <Section title={t("start.tuned")} lead={t("start.tunedLead")}>
        <QueryStates
          query={jobs}
          loading={loading}
          isEmpty={(data) => data.length === 0}
          empty={
            <Empty icon={ActivityIcon} title={t("start.none")} action={<ButtonLink href="/training/">{t("start.train")}</ButtonLink>}>
              {t("start.noneText")}
            </Empty>
          }
        >
          {(data) => (
            <Choices
              icon={ActivityIcon}
              choices={data.map(({ id, name, recipe }) => ({ key: id, href: `/chat/?job=${id}`, name, note: String(recipe.model) }))}
            />
          )}
        </QueryStates>
      </Section>
      <Section title={t("start.base")} lead={t("start.baseLead")}>
        <QueryStates query={models} loading={loading}>
          {({ models: found }) => (
            <Choices
              icon={BoxIcon}
              choices={found
                .filter(({ path }) => path)
                .map(({ name, license }) => ({ key: name, href: `/chat/?model=${encodeURIComponent(name)}`, name, note: license ?? "" }))}
            />
          )}
        </QueryStates>
      </Section>
      <div className="lg:hidden">
        <Section title={t("list.title")}>
          <ChatList />
        </Section>
      </div>
    </Page>
  );
}

function trained(jobs: Schemas["JobBody"][]) {
  return jobs.filter(({ progress }) => progress.state === "succeeded");
}

interface Choice {
  key: string;
  href: string;
  name: string;
  note: string;
}

function Choices({ icon: Icon, choices }: { icon: LucideIcon; choices: Choice[] }) {
  return (
    <ul className="grid gap-3 sm:grid-cols-2">
      {choices.map(({ key, href, name, note }) => (
        <li
          key={key}
          className="relative flex items-center gap-3 rounded-2xl border border-line bg-surface px-4 py-3 text-sm transition-colors hover:border-line-strong"
        >
          <Icon aria-hidden className="size-4 shrink-0 text-muted" />
          <span className="min-w-0">
            <RowLink href={href} className="block truncate">
              {name}
            </RowLink>
            <span className="block truncate text-xs text-muted">{note}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}
