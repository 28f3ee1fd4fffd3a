"use client";

import { ChevronLeftIcon, ChevronRightIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Button, ButtonLink } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { cn } from "@/lib/cn";
import { onEnter } from "@/lib/composing";

interface Props {
  /** What is in sight: `1–20 / 2,000`. */
  shown: string;
  /** The address before and after this; null at the ends. */
  before: string | null;
  after: string | null;
  /** The number of the row in sight, and another one that is asked for. */
  row: number | undefined;
  onRow: (text: string) => void;
}

/** From page to page, or to the row of a number. */
export function Pager({ shown, before, after, row, onRow }: Props) {
  const t = useTranslations("datasets.pager");
  return (
    <nav aria-label={t("label")} className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
      <div className="flex items-center gap-1">
        <Turn to={before} label={t("before")} icon={<ChevronLeftIcon aria-hidden />} />
        <span className="min-w-28 text-center text-muted">{shown}</span>
        <Turn to={after} label={t("after")} icon={<ChevronRightIcon aria-hidden />} />
      </div>
      <label className="flex items-center gap-2 text-muted">
        {t("row")}
        <input
          key={row}
          defaultValue={row}
          inputMode="numeric"
          className={cn(INPUT, "h-8 w-20 text-right text-text")}
          onKeyDown={(event) => onEnter(() => onRow(event.currentTarget.value))(event)}
          onBlur={({ currentTarget }) => currentTarget.value !== String(row ?? "") && onRow(currentTarget.value)}
        />
      </label>
    </nav>
  );
}

function Turn({ to, label, icon }: { to: string | null; label: string; icon: React.ReactNode }) {
  if (to === null) {
    return (
      <Button variant="ghost" size="icon" aria-label={label} disabled>
        {icon}
      </Button>
    );
  }
  return (
    <ButtonLink variant="ghost" size="icon" aria-label={label} href={to} replace scroll={false}>
      {icon}
    </ButtonLink>
  );
}
