"use client";

import { XIcon } from "lucide-react";
import { lazy, Suspense } from "react";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { ErrorNote } from "@/components/states";
import { Badge } from "@/components/ui/badge";
import { Button, ButtonLink } from "@/components/ui/button";
import { Progress } from "@/components/ui/progress";
import { Skeleton } from "@/components/ui/skeleton";
import { addressOf, trainingWith } from "@/features/datasets/address";
import { canBeTrainedOn } from "@/features/datasets/queries";
import { Recognised } from "@/features/datasets/recognised";
import { dismiss, sendMapped, useUploads, type Upload } from "@/features/datasets/uploads";
import { useFormat } from "@/lib/use-format";

const ColumnForm = lazy(() => import("@/features/datasets/column-form")); // rarely needed

/** What is being uploaded, and what was recognised in what has been. */
export function UploadList() {
  const t = useTranslations("datasets.upload");
  const uploads = useUploads();
  return (
    <>
      <p role="status" className="sr-only">
        {uploads.map(({ name, state }) => `${name}: ${t(`states.${state}`)}`).join(" ")}
      </p>
      {uploads.length > 0 && (
        <Section title={t("uploads")}>
          <ul className="flex flex-col gap-3">
            {uploads.map((one) => (
              <li key={one.key}>
                <UploadCard upload={one} />
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

const TONES = { waiting: "neutral", sending: "accent", checking: "accent", unmapped: "warn", done: "good", failed: "bad" } as const;

function UploadCard({ upload }: { upload: Upload }) {
  const t = useTranslations("datasets.upload");
  const format = useFormat();
  const under = upload.state === "waiting" || upload.state === "sending" || upload.state === "checking";
  return (
    <Card className="flex flex-col gap-4 p-4">
      <div className="flex items-center gap-3">
        <p className="min-w-0 flex-1 truncate font-medium">{upload.name}</p>
        <Badge tone={TONES[upload.state]}>{t(`states.${upload.state}`)}</Badge>
        {under ? (
          <Button size="sm" onClick={() => dismiss(upload)}>
            {t("cancel")}
          </Button>
        ) : (
          <Button variant="ghost" size="icon" aria-label={t("dismiss", { name: upload.name })} onClick={() => dismiss(upload)}>
            <XIcon aria-hidden />
          </Button>
        )}
      </div>
      {under && (
        <div className="flex flex-col gap-1.5">
          <Progress label={upload.name} value={upload.sent} total={upload.state === "checking" ? null : upload.file.size} />
          <p className="text-xs text-muted">
            {t("sent", { sent: format.bytes(upload.sent), total: format.bytes(upload.file.size) })}
          </p>
        </div>
      )}
      {upload.state === "failed" && <ErrorNote error={upload.error} />}
      {upload.columns && upload.state === "unmapped" && (
        <Suspense fallback={<Skeleton className="h-72 rounded-2xl" />}>
          <ColumnForm
            columns={upload.columns}
            mapping={{}}
            action={t("withColumns")}
            error={upload.error}
            onSave={(mapping) => sendMapped(upload, mapping)}
          />
        </Suspense>
      )}
      {upload.dataset && <Done dataset={upload.dataset} />}
    </Card>
  );
}

function Done({ dataset }: { dataset: NonNullable<Upload["dataset"]> }) {
  const t = useTranslations("datasets.upload");
  const usable = dataset.report.usable > 0;
  return (
    <>
      <Recognised dataset={dataset} />
      <div className="flex flex-wrap gap-2">
        <ButtonLink size="sm" href={addressOf(dataset.id, usable ? {} : { tab: "columns" })}>
          {usable ? t("open") : t("sayColumns")}
        </ButtonLink>
        {canBeTrainedOn(dataset) && (
          <ButtonLink size="sm" variant="primary" href={trainingWith(dataset.id)}>
            {t("train")}
          </ButtonLink>
        )}
      </div>
    </>
  );
}
