"use client";

import { BanIcon, CheckIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Badge } from "@/components/ui/badge";

/** Whether a base can be trained, in a word. */
export function Verdict({ trainable }: { trainable: boolean }) {
  const t = useTranslations("models");
  const Icon = trainable ? CheckIcon : BanIcon;
  return (
    <Badge tone={trainable ? "good" : "neutral"}>
      <Icon aria-hidden />
      {trainable ? t("trainable") : t("untrainable")}
    </Badge>
  );
}
