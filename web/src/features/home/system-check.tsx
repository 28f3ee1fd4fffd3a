"use client";

import { useQuery } from "@tanstack/react-query";
import { ChevronRightIcon, CircleAlertIcon, CircleCheckIcon, RefreshCwIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Section } from "@/components/page";
import { Prose } from "@/components/prose";
import { QueryStates } from "@/components/states";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { systemQuery } from "@/features/system/queries";
import type { Schemas } from "@/lib/api";

type Finding = Schemas["FindingBody"];

/** What this machine has of what llmlora needs: what is amiss first and with how to mend it, the rest folded away. */
export function SystemCheck() {
  const t = useTranslations("home.check");
  const query = useQuery(systemQuery);
  return (
    <Section
      title={t("title")}
      actions={
        <div className="flex items-center gap-3">
          {query.data && <Verdict findings={query.data.findings} />}
          <Button size="sm" variant="ghost" busy={query.isFetching} onClick={() => void query.refetch()}>
            <RefreshCwIcon aria-hidden />
            {t("again")}
          </Button>
        </div>
      }
    >
      <QueryStates query={query} loading={<Skeleton className="h-64 rounded-2xl" />}>
        {({ findings }) => <Findings findings={findings} />}
      </QueryStates>
    </Section>
  );
}

function Verdict({ findings }: { findings: Finding[] }) {
  const t = useTranslations("home.check");
  const count = (status: Finding["status"]) => findings.filter((one) => one.status === status).length;
  if (count("fail") > 0) return <Badge tone="bad">{t("fails", { count: count("fail") })}</Badge>;
  if (count("warn") > 0) return <Badge tone="warn">{t("warns", { count: count("warn") })}</Badge>;
  return <Badge tone="good">{t("ready")}</Badge>;
}

function Findings({ findings }: { findings: Finding[] }) {
  const t = useTranslations("home.check");
  const good = findings.filter((one) => one.status === "ok");
  const amiss = [...findings.filter((one) => one.status === "fail"), ...findings.filter((one) => one.status === "warn")];
  return (
    <div className="divide-y divide-line rounded-2xl border border-line bg-surface text-sm">
      {amiss.length > 0 && (
        <ul className="divide-y divide-line">
          {amiss.map((one) => (
            <FindingRow key={one.code} finding={one} />
          ))}
        </ul>
      )}
      <details className="group" open={amiss.length === 0}>
        <summary className="flex min-h-12 items-center gap-3 rounded-2xl px-5 py-2.5 text-muted hover:text-text">
          <ChevronRightIcon aria-hidden className="size-4 shrink-0 transition-transform group-open:rotate-90" />
          {t("good", { count: good.length })}
        </summary>
        <ul className="pb-3">
          {good.map((one) => (
            <FindingRow key={one.code} finding={one} />
          ))}
        </ul>
      </details>
    </div>
  );
}

const ICONS = { ok: CircleCheckIcon, warn: TriangleAlertIcon, fail: CircleAlertIcon };
const COLOURS = { ok: "text-good", warn: "text-warn", fail: "text-bad" };

function FindingRow({ finding }: { finding: Finding }) {
  const t = useTranslations("home.check");
  const Icon = ICONS[finding.status];
  return (
    <li className={finding.status === "ok" ? "flex items-start gap-3 px-5 py-1.5" : "flex items-start gap-3 px-5 py-4"}>
      <Icon role="img" aria-label={t(finding.status)} className={`mt-1 size-4 shrink-0 ${COLOURS[finding.status]}`} />
      <div className="min-w-0">
        <p className={finding.status === "ok" ? "" : "font-medium"}>{finding.text}</p>
        {finding.mend && <Prose className="mt-0.5 text-muted">{finding.mend}</Prose>}
      </div>
    </li>
  );
}
