"use client";

import { useQuery } from "@tanstack/react-query";
import { BadgeCheckIcon, DownloadIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Diff } from "@/components/diff";
import { Card } from "@/components/page";
import { QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Answers } from "@/features/job/ollama/answers";
import { Comparisons } from "@/features/job/ollama/comparisons";
import { certificateQuery, type Certificate } from "@/features/job/ollama/queries";
import type { Job } from "@/features/job/queries";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

/** The proof that what was trained is what answers, as a picture. */
export function CertificateView({ job }: { job: Job }) {
  const query = useQuery(certificateQuery(job.id));
  return (
    <QueryStates query={query} loading={<Skeleton className="h-120 rounded-2xl" />}>
      {(one) => <Loaded job={job} one={one} />}
    </QueryStates>
  );
}

function Loaded({ job, one }: { job: Job; one: Certificate }) {
  const t = useTranslations("job.certificate");
  const format = useFormat();
  return (
    <Card className="flex flex-col gap-6">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0 flex-1 basis-64">
          <h3 className="font-semibold">{t("title")}</h3>
          <p className="text-xs text-muted">
            {t("about", { rows: format.number(one.rows), tokens: format.number(one.tokens), origin: one.origin })}
          </p>
        </div>
        <Downloads job={job} />
      </div>
      <Verdict passed={one.passed} />
      <Comparisons lines={one.lines} />
      {one.prompts && (
        <section className="flex flex-col gap-2">
          <h4 className="text-sm font-medium">{t("prompt")}</h4>
          <p className="text-sm">{one.prompt_diff ? t("promptDiffers") : t("promptSame")}</p>
          {one.prompt_diff && <Diff label={t("promptDiff")}>{one.prompt_diff}</Diff>}
        </section>
      )}
      <Answers answers={one.answers} />
    </Card>
  );
}

function Verdict({ passed }: { passed: boolean }) {
  const t = useTranslations("job.certificate");
  const Icon = passed ? BadgeCheckIcon : TriangleAlertIcon;
  return (
    <p className={cn("flex items-start gap-2 rounded-xl p-3 text-sm font-medium", passed ? "bg-good-soft text-good" : "bg-bad-soft text-bad")}>
      <Icon aria-hidden className="mt-0.5 size-5 shrink-0" />
      {passed ? t("passed") : t("failed")}
    </p>
  );
}

function Downloads({ job }: { job: Job }) {
  const t = useTranslations("job.certificate");
  const path = `/api/training/jobs/${job.id}/certificate`;
  return (
    <div className="flex gap-2">
      {(
        [
          ["JSON", path, "certificate.json"],
          ["HTML", `${path}/page`, "certificate.html"],
        ] as const
      ).map(([kind, href, name]) => (
        <ButtonLink key={kind} size="sm" href={href} prefetch={false} download={name} aria-label={t("download", { kind })}>
          <DownloadIcon aria-hidden />
          {kind}
        </ButtonLink>
      ))}
    </div>
  );
}
