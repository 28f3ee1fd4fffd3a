"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { BanIcon, CopyPlusIcon, PauseIcon, PlayIcon, RotateCcwIcon, Trash2Icon } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Menu } from "@/components/ui/menu";
import { deedsFor, jobsQuery, steer, type Deed } from "@/features/jobs/queries";
import type { Schemas } from "@/lib/api";

const ICONS = { pause: PauseIcon, resume: PlayIcon, cancel: BanIcon, retry: RotateCcwIcon, remove: Trash2Icon };

type Grave = Extract<Deed, "cancel" | "remove">;
const isGrave = (deed: Deed): deed is Grave => deed === "cancel" || deed === "remove";

/** What can be done with a job. `onError`: what went wrong with a deed that asked nothing before. */
export function JobActions({ job, onError }: { job: Schemas["JobBody"]; onError: (error: unknown) => void }) {
  const t = useTranslations("training.deeds");
  const client = useQueryClient();
  const [asking, ask] = useState<Grave | null>(null);
  const { mutate, isPending, error, reset } = useMutation({
    mutationFn: (deed: Deed) => steer(job.id, deed),
    onMutate: () => onError(null),
    onSuccess: () => ask(null),
    onError: (failure, deed) => !isGrave(deed) && onError(failure),
    onSettled: () => client.invalidateQueries({ queryKey: jobsQuery.queryKey }),
  });
  const begin = (deed: Deed) => {
    reset();
    if (isGrave(deed)) ask(deed);
    else mutate(deed);
  };
  const labelled = (key: Deed | "again", Icon: typeof PauseIcon) => (
    <>
      <Icon aria-hidden />
      {t(key)}
    </>
  );
  return (
    <>
      <Menu
        className="relative"
        label={t("label", { name: job.name })}
        choices={[
          ...deedsFor(job.progress).map((deed) => ({
            key: deed,
            label: labelled(deed, ICONS[deed]),
            onChoose: () => begin(deed),
            danger: deed === "remove",
          })),
          { key: "again", label: labelled("again", CopyPlusIcon), href: `/training/new/?from=${job.id}` },
        ]}
      />
      {asking && (
        <ConfirmDialog
          open
          onOpenChange={(open) => !open && ask(null)}
          title={t(`confirm.${asking}.title`, { name: job.name })}
          description={t(`confirm.${asking}.text`)}
          action={t(`confirm.${asking}.action`)}
          busy={isPending}
          onConfirm={() => mutate(asking)}
        >
          {error && <ErrorNote error={error} />}
        </ConfirmDialog>
      )}
    </>
  );
}
