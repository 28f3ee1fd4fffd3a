"use client";

import { ActivityIcon, DownloadIcon, FileUpIcon, PencilIcon, Trash2Icon } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Button, ButtonLink } from "@/components/ui/button";
import { trainingWith } from "@/features/datasets/address";
import { DeleteDialog } from "@/features/datasets/delete-dialog";
import { NewVersionDialog } from "@/features/datasets/new-version-dialog";
import { canBeTrainedOn, type DatasetDetails } from "@/features/datasets/queries";
import { RenameDialog } from "@/features/datasets/rename-dialog";

const DEEDS = { rename: PencilIcon, replace: FileUpIcon, remove: Trash2Icon };
type Deed = keyof typeof DEEDS;

/** What can be done with a data set. */
export function DatasetActions({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.actions");
  const [doing, setDoing] = useState<Deed | null>(null);
  const dialog = (deed: Deed) => ({ dataset, open: doing === deed, onOpenChange: (open: boolean) => setDoing(open ? deed : null) });
  const button = (deed: Deed): ReactNode => {
    const Icon = DEEDS[deed];
    return (
      <Button size="icon" aria-label={t(deed)} title={t(deed)} onClick={() => setDoing(deed)}>
        <Icon aria-hidden />
      </Button>
    );
  };
  return (
    <>
      {button("rename")}
      {button("replace")}
      <a
        href={`/api/datasets/${dataset.id}/file`}
        download
        aria-label={t("download")}
        title={t("download")}
        className="inline-flex size-9 items-center justify-center rounded-lg border border-line bg-surface hover:bg-sunken"
      >
        <DownloadIcon aria-hidden className="size-4" />
      </a>
      {button("remove")}
      {canBeTrainedOn(dataset) && (
        <ButtonLink variant="primary" href={trainingWith(dataset.id)}>
          <ActivityIcon aria-hidden />
          {t("train")}
        </ButtonLink>
      )}
      <RenameDialog key={dataset.name} {...dialog("rename")} />
      <NewVersionDialog {...dialog("replace")} />
      <DeleteDialog {...dialog("remove")} />
    </>
  );
}
