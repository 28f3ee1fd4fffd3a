"use client";

import { useTranslations } from "use-intl";
import { Card } from "@/components/page";

/** The model from below to above: tokens in, the same layer many times, tokens out. In each layer, where LoRA can go. */
export function Anatomy({ layers, targets }: { layers: number; targets: string[] }) {
  const t = useTranslations("models.anatomy");
  const plate = "rounded-lg border border-line bg-sunken px-3 py-1.5 text-center text-xs text-muted";
  return (
    <Card className="flex flex-col gap-2">
      <p className={plate}>{t("out")}</p>
      <div className="relative mr-1.5 mb-1.5 rounded-xl border border-line-strong/60 bg-surface p-4 shadow-[3px_3px_0_-1px_var(--surface),3px_3px_0_0_var(--line-strong),6px_6px_0_-1px_var(--surface),6px_6px_0_0_var(--line)]">
        <p className="mb-3 text-sm font-medium">{t("layers", { count: layers })}</p>
        <ul className="flex flex-wrap gap-2">
          {targets.map((target) => (
            <li key={target} className="rounded-md border border-accent/40 bg-accent-soft px-2.5 py-1 font-mono text-xs text-accent">
              {target}
            </li>
          ))}
        </ul>
        <p className="mt-3 text-xs text-muted">{t("help")}</p>
      </div>
      <p className={plate}>{t("in")}</p>
    </Card>
  );
}
