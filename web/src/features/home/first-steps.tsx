"use client";

import { useQuery } from "@tanstack/react-query";
import { ArrowRightIcon, CheckIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Section } from "@/components/page";
import { RowLink } from "@/components/row-link";
import { Skeleton } from "@/components/ui/skeleton";
import { jobsQuery } from "@/features/jobs/queries";
import { systemQuery } from "@/features/system/queries";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";

const STEPS = [
  { name: "model", path: "/models/" },
  { name: "data", path: "/datasets/" },
  { name: "train", path: "/training/" },
  { name: "talk", path: "/chat/" },
] as const;

/** The whole way in four steps, ticked by what there is. It leaves when all are done. */
export function FirstSteps() {
  const t = useTranslations("home.steps");
  const system = useQuery(systemQuery).data;
  const jobs = useQuery(jobsQuery).data;
  if (!system || !jobs) {
    return (
      <Section title={t("title")}>
        <Skeleton className="h-105 rounded-2xl sm:h-55 lg:h-31" />
      </Section>
    );
  }
  const done = doneOf(system, jobs.length);
  const next = STEPS.find(({ name }) => !done[name])?.name;
  if (next === undefined) return null;
  return (
    <Section title={t("title")}>
      <ol className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
        {STEPS.map(({ name, path }, at) => (
          <li
            key={name}
            aria-current={name === next ? "step" : undefined}
            className={cn(
              "group relative flex flex-col gap-1 rounded-2xl border p-4 transition-colors",
              name === next ? "border-accent bg-accent-soft" : "border-line bg-surface hover:border-line-strong",
            )}
          >
            <span className="flex items-center justify-between text-xs text-muted">
              {done[name] ? (
                <span className="flex items-center gap-1 text-good">
                  <CheckIcon aria-hidden className="size-4" />
                  {t("done")}
                </span>
              ) : (
                t("step", { number: at + 1 })
              )}
              <ArrowRightIcon aria-hidden className="size-4 transition-transform group-hover:translate-x-0.5" />
            </span>
            <RowLink href={path}>{t(`${name}.title`)}</RowLink>
            <span className="text-xs leading-relaxed text-muted">{t(`${name}.text`)}</span>
          </li>
        ))}
      </ol>
    </Section>
  );
}

function doneOf(system: Schemas["SystemBody"], jobs: number): Record<(typeof STEPS)[number]["name"], boolean> {
  const { counts, findings } = system;
  const model = findings.some(({ code }) => code === "models");
  return { model, data: counts.datasets > 0, train: jobs > 0, talk: counts.chats > 0 };
}
