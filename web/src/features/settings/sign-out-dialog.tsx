"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { toast } from "@/components/ui/toast";
import { sessionQuery } from "@/features/session/queries";
import { api } from "@/lib/api";

/** A new token for all: who came in with the old one is out. */
export default function SignOutDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslations("settings.access");
  const client = useQueryClient();
  const renew = useMutation({
    mutationFn: () => api.DELETE("/api/session"),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: sessionQuery.queryKey });
      onClose();
      toast(t("renewed"));
    },
  });
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("confirmTitle")}
      description={t("confirmText")}
      action={t("signOutAction")}
      onConfirm={() => renew.mutate()}
      busy={renew.isPending}
    >
      {renew.error && <ErrorNote error={renew.error} />}
    </ConfirmDialog>
  );
}
