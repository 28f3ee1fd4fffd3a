"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useTranslations } from "use-intl";
import type { Turn } from "@/features/chats/exchanges";
import { jobsQuery } from "@/features/jobs/queries";

/** Whom one talks to: a base, or what a training job made of it. `model` is null while only the job is known. */
export interface Talked {
  model: string | null;
  jobId: string | null;
}

const LINK = "underline decoration-line-strong/60 underline-offset-2 hover:text-text";

export function Partner({ talked: { model, jobId }, turns }: { talked: Talked; turns: Turn[] }) {
  const t = useTranslations("chat.partner");
  const jobs = useQuery({ ...jobsQuery, enabled: jobId !== null });
  const job = jobs.data?.find(({ id }) => id === jobId);
  const base = model ?? (job?.recipe.model as string | undefined);
  const gone = jobId === null && turns.some(({ adapted }) => adapted);
  return (
    <>
      <p className="truncate text-xs text-muted">
        {jobId && (
          <>
            <Link href={`/training/?id=${jobId}`} className={LINK}>
              {job?.name ?? t("job")}
            </Link>
            {base && " · "}
          </>
        )}
        {base && (
          <Link href={`/models/?name=${encodeURIComponent(base)}`} className={LINK}>
            {base}
          </Link>
        )}
      </p>
      {gone && <p className="text-xs text-warn">{t("gone")}</p>}
    </>
  );
}
