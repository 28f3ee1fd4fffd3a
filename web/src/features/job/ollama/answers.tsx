"use client";

import { useTranslations } from "use-intl";
import type { Certificate } from "@/features/job/ollama/queries";
import { cn } from "@/lib/cn";

/** What the model said before and says after. */
export function Answers({ answers }: Pick<Certificate, "answers">) {
  const t = useTranslations("job.certificate");
  if (answers.length === 0) return null;
  return (
    <section className="flex flex-col gap-3">
      <h4 className="text-sm font-medium">{t("answers")}</h4>
      <ul className="flex flex-col gap-4">
        {answers.map(({ question, base, tuned, served }) => (
          <li key={question} className="flex flex-col gap-2">
            <p className="text-sm whitespace-pre-wrap">{question}</p>
            <dl className={cn("grid gap-2", served !== null && tuned !== null ? "md:grid-cols-3" : "md:grid-cols-2")}>
              <Said by={t("base")} text={base} />
              {tuned !== null && <Said by={t("tuned")} text={tuned} />}
              {served !== null && <Said by={t("served")} text={served} />}
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Said({ by, text }: { by: string; text: string }) {
  const t = useTranslations("job.certificate");
  return (
    <div className="min-w-0 rounded-xl bg-sunken p-3 text-sm">
      <dt className="text-xs text-muted">{by}</dt>
      <dd className="whitespace-pre-wrap">{text.trim() || t("nothing")}</dd>
    </div>
  );
}
