"use client";

import { CheckIcon, TriangleAlertIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Diff } from "@/components/diff";
import { Prose } from "@/components/prose";
import { Button } from "@/components/ui/button";
import { Fold } from "@/features/new-job/fold";
import type { Form } from "@/features/new-job/use-form";
import type { Plan } from "@/features/new-job/use-plan";

/** Whether Ollama will write the prompts that are trained; where it will not, how they differ, and the way to follow it. */
export function Prompts({ form, prompts }: { form: Form; prompts: NonNullable<Plan["prompts"]> }) {
  const t = useTranslations("newJob.prompts");
  if (prompts.verdict === "same") {
    return (
      <p className="flex gap-2 text-sm">
        <CheckIcon aria-hidden className="mt-1 size-4 shrink-0 text-good" />
        <span className="min-w-0">{prompts.text}</span>
      </p>
    );
  }
  return (
    <div className="flex flex-col gap-2 rounded-xl bg-warn-soft p-3 text-sm">
      <p className="flex gap-2">
        <TriangleAlertIcon aria-hidden className="mt-1 size-4 shrink-0 text-warn" />
        <span className="min-w-0">{prompts.text}</span>
      </p>
      {prompts.verdict === "different" && (
        <>
          <Fold title={t("show")}>
            <Diff label={t("diff")}>{prompts.diff}</Diff>
            <p className="pt-1.5 text-xs text-muted">{t("marks")}</p>
          </Fold>
          {prompts.can_follow ? (
            <Button size="sm" className="self-start" onClick={() => form.setText("template", "ollama")}>
              {t("follow")}
            </Button>
          ) : (
            <Prose>{prompts.way}</Prose>
          )}
        </>
      )}
    </div>
  );
}
