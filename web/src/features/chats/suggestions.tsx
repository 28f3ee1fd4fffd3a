"use client";

import { useQuery } from "@tanstack/react-query";
import { MessageCircleIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { jobsQuery } from "@/features/jobs/queries";

const NAMES = ["who", "explain", "advice", "list"] as const;

/** Something to begin with: first what the job itself was asked while it learned. */
export function Suggestions({ jobId, onChoose }: { jobId: string | null; onChoose: (text: string) => void }) {
  const t = useTranslations("chat.suggestions");
  const jobs = useQuery({ ...jobsQuery, enabled: jobId !== null });
  const recipe = jobs.data?.find(({ id }) => id === jobId)?.recipe;
  const asked = (recipe?.sample_prompts ?? []) as string[];
  const all = [...asked, ...NAMES.map((name) => t(name))].slice(0, 4);
  return (
    <div className="flex flex-col items-center gap-4 pt-[8vh] text-center">
      <MessageCircleIcon aria-hidden className="size-7 text-muted" strokeWidth={1.5} />
      <p className="font-medium">{jobId ? t("compare") : t("begin")}</p>
      <ul className="grid w-full max-w-2xl gap-2 sm:grid-cols-2">
        {all.map((text) => (
          <li key={text}>
            <button
              type="button"
              onClick={() => onChoose(text)}
              className="h-full w-full rounded-xl border border-line bg-surface px-4 py-3 text-left text-sm transition-colors hover:border-line-strong"
            >
              {text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
