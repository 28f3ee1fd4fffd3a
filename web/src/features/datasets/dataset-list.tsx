"use client";

import { useQuery } from "@tanstack/react-query";
import { FileUpIcon } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslations } from "use-intl";
import { Page } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { DatasetTable } from "@/features/datasets/dataset-table";
import { FirstDataset } from "@/features/datasets/first-dataset";
import { datasetsQuery } from "@/features/datasets/queries";
import { UploadList } from "@/features/datasets/upload-list";
import { startUploads } from "@/features/datasets/uploads";
import { useFileDrop } from "@/features/datasets/use-file-drop";

const UploadDialog = lazy(() => import("@/features/datasets/upload-dialog")); // loaded while the list is looked at

/** All data sets, and the way in for more. */
export function DatasetList() {
  const t = useTranslations("datasets");
  const query = useQuery(datasetsQuery);
  const [uploading, setUploading] = useState(false);
  const over = useFileDrop((files) => {
    startUploads(files.map((file) => ({ name: file.name, file })));
    setUploading(false);
  });
  return (
    <Page
      title={t("title")}
      lead={t("lead")}
      actions={
        <Button variant="primary" onClick={() => setUploading(true)}>
          <FileUpIcon aria-hidden />
          {t("upload.title")}
        </Button>
      }
    >
      <UploadList />
      <QueryStates
        query={query}
        loading={<Skeleton className="h-64 rounded-2xl" />}
        isEmpty={(datasets) => datasets.length === 0}
        empty={<FirstDataset onUpload={() => setUploading(true)} />}
      >
        {(datasets) => <DatasetTable datasets={datasets} />}
      </QueryStates>
      <Suspense>
        <UploadDialog open={uploading} onOpenChange={setUploading} />
      </Suspense>
      {over && (
        <div className="pointer-events-none fixed inset-0 z-60 grid place-items-center bg-bg/85 p-8">
          <p className="rounded-2xl border-2 border-dashed border-accent bg-accent-soft px-10 py-12 text-center font-medium text-accent">
            {t("upload.release")}
          </p>
        </div>
      )}
    </Page>
  );
}
