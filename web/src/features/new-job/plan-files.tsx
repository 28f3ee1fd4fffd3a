"use client";

import { DownloadIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { CopyableCode } from "@/components/copyable-code";
import { Prose } from "@/components/prose";
import { Button } from "@/components/ui/button";
import { Fold } from "@/features/new-job/fold";
import type { Plan } from "@/features/new-job/use-plan";

/** The same run without this page: its recipe as a file, and the command. */
export function PlanFiles({ plan, name }: { plan: Plan; name: string }) {
  const t = useTranslations("newJob.files");
  return (
    <>
      <Fold title={t("yaml")}>
        <div className="flex flex-col gap-3">
          <Prose className="text-xs text-muted">{t("yamlHelp")}</Prose>
          <CopyableCode label={t("yaml")}>{plan.yaml}</CopyableCode>
          <Button size="sm" className="self-start" onClick={() => save(`${name}.yaml`, plan.yaml)}>
            <DownloadIcon aria-hidden />
            {t("download")}
          </Button>
        </div>
      </Fold>
      <Fold title={t("command")}>
        <div className="flex flex-col gap-3">
          <Prose className="text-xs text-muted">{t("commandHelp")}</Prose>
          <CopyableCode label={t("command")}>{plan.command}</CopyableCode>
        </div>
      </Fold>
    </>
  );
}

function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name.replace(/[/\\:]/g, "_");
  link.click();
  URL.revokeObjectURL(address);
}
