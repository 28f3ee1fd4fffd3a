"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field, Input } from "@/components/ui/field";
import { datasetQuery, type DatasetDetails } from "@/features/datasets/queries";
import { api, of } from "@/lib/api";
import { onEnter } from "@/lib/composing";
import { Failure } from "@/lib/failure";

export interface DeedProps {
  dataset: DatasetDetails;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function RenameDialog({ dataset, open, onOpenChange }: DeedProps) {
  const t = useTranslations("datasets.actions");
  const client = useQueryClient();
  const [name, setName] = useState(dataset.name);
  const rename = useMutation({
    mutationFn: () => {
      const params = { path: { dataset_id: dataset.id } };
      return of(api.PATCH("/api/datasets/{dataset_id}", { params, body: { name } }));
    },
    onSuccess: (renamed) => {
      client.setQueryData(datasetQuery(dataset.id).queryKey, renamed);
      onOpenChange(false);
    },
  });
  const wrong = rename.error instanceof Failure ? rename.error.problemOf("name") : undefined;
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("rename")}
      footer={
        <Button variant="primary" busy={rename.isPending} disabled={name.trim() === ""} onClick={() => rename.mutate()}>
          {t("save")}
        </Button>
      }
    >
      <Field label={t("name")} error={wrong}>
        <Input value={name} onValueChange={setName} maxLength={200} onKeyDown={onEnter(() => name.trim() && rename.mutate())} />
      </Field>
      {rename.error && !wrong && <ErrorNote error={rename.error} />}
    </Dialog>
  );
}
