"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useTranslations } from "use-intl";
import { JobStateBadge } from "@/components/job-state";
import { ErrorNote } from "@/components/states";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Dialog } from "@/components/ui/dialog";
import { toast } from "@/components/ui/toast";
import { datasetsQuery, deletionKey } from "@/features/datasets/queries";
import type { DeedProps } from "@/features/datasets/rename-dialog";
import { jobsQuery } from "@/features/jobs/queries";
import { api, type Schemas } from "@/lib/api";

const OVER: Schemas["Progress"]["state"][] = ["succeeded", "failed", "cancelled"];

/** Asks before it is gone, and says which jobs have used it; while one of them still needs it, it stays. */
export function DeleteDialog({ dataset, open, onOpenChange }: DeedProps) {
  const t = useTranslations("datasets.delete");
  const client = useQueryClient();
  const router = useRouter();
  const jobs = useQuery({ ...jobsQuery, enabled: open });
  const users = (jobs.data ?? []).filter(({ dataset_id }) => dataset_id === dataset.id);
  const needing = users.filter(({ progress }) => !OVER.includes(progress.state));
  const remove = useMutation({
    mutationKey: deletionKey(dataset.id),
    mutationFn: () => api.DELETE("/api/datasets/{dataset_id}", { params: { path: { dataset_id: dataset.id } } }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: datasetsQuery.queryKey });
      router.replace("/datasets/");
      toast(t("deleted", { name: dataset.name }));
    },
  });
  if (needing.length > 0) {
    return (
      <Dialog open={open} onOpenChange={onOpenChange} title={t("needed")} description={t("neededText")}>
        <JobLinks jobs={needing} />
      </Dialog>
    );
  }
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("title", { name: dataset.name })}
      description={users.length > 0 ? t("used") : t("text")}
      action={t("action")}
      onConfirm={() => remove.mutate()}
      busy={remove.isPending || jobs.isLoading}
    >
      {users.length > 0 && <JobLinks jobs={users} />}
      {(remove.error ?? jobs.error) && <ErrorNote error={remove.error ?? jobs.error} />}
    </ConfirmDialog>
  );
}

function JobLinks({ jobs }: { jobs: Schemas["JobBody"][] }) {
  return (
    <ul className="max-h-48 divide-y divide-line overflow-y-auto rounded-xl border border-line text-sm">
      {jobs.map(({ id, name, progress }) => (
        <li key={id} className="flex items-center gap-3 px-3 py-2">
          <Link href={`/training/?id=${id}`} className="min-w-0 flex-1 truncate text-accent hover:underline">
            {name}
          </Link>
          <JobStateBadge state={progress.state} />
        </li>
      ))}
    </ul>
  );
}
