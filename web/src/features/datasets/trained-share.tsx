"use client";

import { useTranslations } from "use-intl";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

/** What is not learned, in pictures. */
export const HATCHED = "repeating-linear-gradient(45deg, var(--line-strong) 0 1px, transparent 1px 6px)";

/** Of all tokens, those that the model learns to write and those it only reads. */
export function TrainedShare({ counts }: { counts: Schemas["TokenCountsBody"] }) {
  const t = useTranslations("datasets.trainedShare");
  const format = useFormat();
  const share = counts.supervised_share;
  const masked = counts.total - counts.supervised;
  return (
    <figure className="flex flex-col gap-2">
      <figcaption className="text-sm font-medium">{t("title")}</figcaption>
      <div aria-hidden className="flex h-5 overflow-hidden rounded-md border border-line-strong">
        <span className="bg-(--chart-1)" style={{ width: `${100 * share}%` }} />
        <span className="flex-1" style={{ background: HATCHED }} />
      </div>
      <ul className="flex flex-wrap gap-x-6 gap-y-1 text-sm">
        <li className="flex items-center gap-2">
          <span aria-hidden className="size-3 rounded-sm bg-(--chart-1)" />
          {t("trained", { count: counts.supervised, share: format.percent(share) })}
        </li>
        <li className="flex items-center gap-2">
          <span aria-hidden className="size-3 rounded-sm border border-line-strong" style={{ background: HATCHED }} />
          {t("masked", { count: masked, share: format.percent(1 - share) })}
        </li>
      </ul>
    </figure>
  );
}
