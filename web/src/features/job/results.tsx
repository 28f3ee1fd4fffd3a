"use client";

import { useQuery } from "@tanstack/react-query";
import { DownloadIcon, FlagIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Merged } from "@/features/job/merged";
import { Ollama } from "@/features/job/ollama/ollama";
import { artefactsQuery, FINAL, type Job } from "@/features/job/queries";
import { Card, Section } from "@/components/page";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

type Artefact = Schemas["ArtefactBody"];

/** What came out, and what one does with it. */
export function Results({ job }: { job: Job }) {
  const t = useTranslations("job.results");
  const { state } = job.progress;
  if (state !== "succeeded") {
    return (
      <Empty icon={FlagIcon} title={t("noneTitle")}>
        {FINAL.includes(state) ? t("never") : t("notYet")}
      </Empty>
    );
  }
  return (
    <div className="flex flex-col gap-8">
      <Outcome result={job.result} />
      <Downloads job={job} />
      <Ollama job={job} />
    </div>
  );
}

function Outcome({ result }: Pick<Job, "result">) {
  const t = useTranslations("job.results");
  const format = useFormat();
  if (!result) return null;
  const step = format.number(result.step);
  return (
    <p className="text-sm">
      {result.eval_loss === null ? t("outcome", { step }) : t("outcomeWithLoss", { step, loss: format.figure(result.eval_loss) })}
    </p>
  );
}

function Downloads({ job }: { job: Job }) {
  const t = useTranslations("job.results");
  const query = useQuery(artefactsQuery(job.id));
  return (
    <Section title={t("downloads")}>
      <QueryStates query={query} loading={<Skeleton className="h-48 rounded-2xl" />}>
        {(artefacts) => (
          <ul className="grid gap-3 md:grid-cols-3">
            {artefacts.map((artefact) => (
              <li key={artefact.name} className="grid">
                <Card className="flex flex-col gap-3">
                  <File artefact={artefact} />
                  {artefact.name === "merged.gguf" ? (
                    <Merged job={job} made={artefact.bytes !== null} />
                  ) : (
                    <Download job={job} name={artefact.name} />
                  )}
                </Card>
              </li>
            ))}
          </ul>
        )}
      </QueryStates>
    </Section>
  );
}

function File({ artefact: { name, bytes } }: { artefact: Artefact }) {
  const t = useTranslations("job.results.files");
  const format = useFormat();
  const about = { "adapter.zip": t("zip"), "adapter.gguf": t("gguf"), "merged.gguf": t("merged") };
  return (
    <div className="flex flex-1 flex-col gap-1">
      <h3 className="flex items-baseline justify-between gap-2 font-mono text-sm font-medium">
        {name}
        {bytes !== null && <span className="font-sans text-xs font-normal text-muted">{format.bytes(bytes)}</span>}
      </h3>
      <p className="text-xs leading-relaxed text-muted">{about[name]}</p>
    </div>
  );
}

/** The browser saves it itself: it may be large. */
export function Download({ job, name, className }: { job: Job; name: Artefact["name"]; className?: string }) {
  const t = useTranslations("job.results");
  return (
    <ButtonLink
      href={`/api/training/jobs/${job.id}/artefacts/${name}`}
      prefetch={false}
      download
      aria-label={t("downloadOf", { name })}
      className={cn("self-start", className)}
    >
      <DownloadIcon aria-hidden />
      {t("download")}
    </ButtonLink>
  );
}
