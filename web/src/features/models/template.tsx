"use client";

import { ChevronRightIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Section } from "@/components/page";
import type { Schemas } from "@/lib/api";

interface Props {
  /** Where it comes from: `model`, `family: gemma`, or null where there is none. */
  origin: string | null;
  source: string | null;
  /** How Ollama writes it; null where the model is not from there. */
  rendering: Schemas["RenderingBody"] | null;
}

/** How a conversation is written for this model. */
export function Template({ origin, source, rendering }: Props) {
  const t = useTranslations("models.template");
  const family = origin?.startsWith("family: ") ? origin.slice("family: ".length) : null;
  return (
    <Section title={t("title")} lead={family ? t("family", { family }) : origin ? t("model") : t("none")}>
      {source && <Source title={t("show")}>{source}</Source>}
      {rendering && (
        <>
          <p className="text-sm text-muted">{t("ollama", { rendering: rendering.text })}</p>
          {rendering.kind === "go" && <Source title={t("showGo")}>{rendering.source}</Source>}
        </>
      )}
    </Section>
  );
}

function Source({ title, children }: { title: string; children: string }) {
  return (
    <details className="group rounded-2xl border border-line bg-surface">
      <summary className="flex min-h-12 items-center gap-3 rounded-2xl px-5 py-2.5 text-sm text-muted hover:text-text">
        <ChevronRightIcon aria-hidden className="size-4 shrink-0 transition-transform group-open:rotate-90" />
        {title}
      </summary>
      <pre className="max-w-full border-t border-line px-5 py-4 font-mono text-xs leading-relaxed whitespace-pre-wrap">{children}</pre>
    </details>
  );
}
