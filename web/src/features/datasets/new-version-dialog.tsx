"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Progress } from "@/components/ui/progress";
import { toast } from "@/components/ui/toast";
import { PickFiles } from "@/features/datasets/pick-files";
import { datasetQuery, type DatasetDetails } from "@/features/datasets/queries";
import type { DeedProps } from "@/features/datasets/rename-dialog";
import { upload } from "@/lib/upload";

/** Another file in the place of this one; jobs keep the one they were started with. */
export function NewVersionDialog({ dataset, open, onOpenChange }: DeedProps) {
  const t = useTranslations("datasets.actions");
  const client = useQueryClient();
  const [sent, setSent] = useState({ bytes: 0, total: 1 });
  const stop = useRef<AbortController>(undefined);
  const replace = useMutation({
    mutationFn: (file: File) => {
      stop.current = new AbortController();
      const onProgress = (bytes: number, total: number) => setSent({ bytes, total });
      return upload<DatasetDetails>("PUT", `/api/datasets/${dataset.id}/file`, file, { onProgress, signal: stop.current.signal });
    },
    onSuccess: (replaced) => {
      client.setQueryData(datasetQuery(dataset.id).queryKey, replaced);
      toast(t("replaced", { version: replaced.version }));
      onOpenChange(false);
    },
  });
  const change = (now: boolean) => {
    if (!now) stop.current?.abort();
    replace.reset();
    onOpenChange(now);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      title={t("replace")}
      description={t("replaceHelp", { version: dataset.version + 1 })}
      footer={
        replace.isPending ? (
          <Button onClick={() => change(false)}>{t("stop")}</Button>
        ) : (
          <PickFiles variant="primary" onFiles={([file]) => file && replace.mutate(file)}>
            {t("choose")}
          </PickFiles>
        )
      }
    >
      {replace.isPending && (
        <Progress label={t("replace")} value={sent.bytes} total={sent.bytes < sent.total ? sent.total : null} />
      )}
      {replace.error && <ErrorNote error={replace.error} />}
    </Dialog>
  );
}
