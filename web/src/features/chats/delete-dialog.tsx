"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { chatsQuery } from "@/features/chats/queries";
import { api, type Schemas } from "@/lib/api";
import { useParam } from "@/lib/use-param";

interface Props {
  chat: Schemas["ChatSummary"];
  onClose: () => void;
}

/** Delete a conversation; who is in it goes to the beginning. */
export default function DeleteDialog({ chat, onClose }: Props) {
  const t = useTranslations("chat.delete");
  const client = useQueryClient();
  const router = useRouter();
  const [open] = useParam("id");
  const remove = useMutation({
    mutationFn: () => api.DELETE("/api/chats/{chat_id}", { params: { path: { chat_id: chat.id } } }),
    onSuccess: async () => {
      if (open === chat.id) router.replace("/chat/");
      await client.invalidateQueries({ queryKey: chatsQuery.queryKey, exact: true });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      open
      onOpenChange={(still) => !still && onClose()}
      title={t("title", { name: chat.name })}
      description={t("text")}
      action={t("action")}
      onConfirm={() => remove.mutate()}
      busy={remove.isPending}
    >
      {remove.error && <ErrorNote error={remove.error} />}
    </ConfirmDialog>
  );
}
