"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Prose } from "@/components/prose";
import { Button } from "@/components/ui/button";
import { modelsQuery } from "@/features/models/queries";
import type { Schemas } from "@/lib/api";

/** Why Ollama does not answer and how to mend that, in the server's words, and a button to look again. */
export function OllamaAway({ error }: { error: Schemas["Problem"] }) {
  const t = useTranslations("models.pull");
  const models = useQuery(modelsQuery);
  return (
    <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 text-sm">
      <div className="min-w-0 flex-1 basis-80">
        <p className="font-medium">{error.message}</p>
        <Prose className="text-muted">{error.hint}</Prose>
      </div>
      <Button size="sm" busy={models.isFetching} onClick={() => void models.refetch()}>
        {t("again")}
      </Button>
    </div>
  );
}
