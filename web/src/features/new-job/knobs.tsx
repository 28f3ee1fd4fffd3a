"use client";

import { ArrowDownIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Button } from "@/components/ui/button";
import type { Form } from "@/features/new-job/use-form";
import type { Option } from "@/features/new-job/values";
import { useFormat } from "@/lib/use-format";

const KNOBS = ["max_length", "rank"] as const;

/** What the API says to turn down when there is too little memory, each to its half. */
export function Knobs({ form, options }: { form: Form; options: Option[] }) {
  const t = useTranslations("newJob.knobs");
  const format = useFormat();
  const turns = KNOBS.flatMap((name) => {
    const option = options.find((one) => one.name === name);
    const now = Number(form.values[name] ?? option?.default);
    const half = Math.max(option?.minimum ?? 1, Math.floor(now / 2));
    return half < now ? [{ name, now, half }] : [];
  });
  return (
    <div role="group" aria-label={t("label")} className="flex flex-col gap-2">
      {turns.map(({ name, now, half }) => (
        <Button key={name} size="sm" className="justify-between" onClick={() => form.setText(name, String(half))}>
          {t(name)}
          <span className="flex items-center gap-1.5 text-muted">
            <ArrowDownIcon aria-hidden />
            {t("turn", { now: format.number(now), half: format.number(half) })}
          </span>
        </Button>
      ))}
    </div>
  );
}
