"use client";

import { BadgeCheckIcon, BoxIcon, MessageCircleIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { CopyableCode } from "@/components/copyable-code";
import { Card } from "@/components/page";
import { Badge } from "@/components/ui/badge";
import { ButtonLink } from "@/components/ui/button";
import type { Job } from "@/features/job/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

interface Props {
  job: Job;
  one: Schemas["RegisteredBody"];
  /** What its certificate says; null where there is none. */
  passed: boolean | null;
}

/** The model that Ollama has now: by which route and why, and how to talk to it. */
export function Registered({ job, one, passed }: Props) {
  const t = useTranslations("job.results.ollama");
  const format = useFormat();
  return (
    <Card className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h3 className="flex min-w-0 items-center gap-2 font-mono font-medium">
          <BoxIcon aria-hidden className="size-4 shrink-0 text-muted" />
          {one.name}
        </h3>
        {passed !== null && (
          <Badge tone={passed ? "good" : "bad"}>
            {passed ? <BadgeCheckIcon aria-hidden /> : <TriangleAlertIcon aria-hidden />}
            {passed ? t("proved") : t("notProved")}
          </Badge>
        )}
      </div>
      <div className="text-sm">
        <p>{t(`routes.${one.route}`)}</p>
        {one.why && <p className="text-muted">{t("why", { reason: one.why })}</p>}
        <p className="text-xs text-muted">{t("made", { version: one.version, ago: format.ago(Date.parse(one.at) / 1000) })}</p>
      </div>
      <CopyableCode label={t("run")}>{`ollama run ${one.name}`}</CopyableCode>
      <ButtonLink href={`/chat/?job=${job.id}`} className="self-start">
        <MessageCircleIcon aria-hidden />
        {t("talk")}
      </ButtonLink>
    </Card>
  );
}
