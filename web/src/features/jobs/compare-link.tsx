"use client";

import { ChartSplineIcon, XIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Button, ButtonLink } from "@/components/ui/button";

/** From two chosen jobs on, the way to see them side by side. It always takes the same room. */
export function CompareLink({ ids, onClear }: { ids: string[]; onClear: () => void }) {
  const t = useTranslations("training.compare");
  if (ids.length === 0) return <p className="flex h-9 items-center text-xs text-muted">{t("how")}</p>;
  return (
    <div className="flex h-9 items-center gap-2">
      <p role="status" className="text-xs text-muted">
        {t("chosen", { count: ids.length })}
      </p>
      <Button variant="ghost" size="icon" aria-label={t("clear")} onClick={onClear}>
        <XIcon aria-hidden />
      </Button>
      {ids.length > 1 ? (
        <ButtonLink href={`/training/compare/?ids=${ids.join()}`} variant="primary">
          <ChartSplineIcon aria-hidden />
          {t("compare")}
        </ButtonLink>
      ) : (
        <Button disabled>
          <ChartSplineIcon aria-hidden />
          {t("compare")}
        </Button>
      )}
    </div>
  );
}
