"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field, Input } from "@/components/ui/field";
import { chatsQuery } from "@/features/chats/queries";
import { api, type Schemas } from "@/lib/api";
import { onEnter } from "@/lib/composing";

interface Props {
  chat: Schemas["ChatSummary"];
  onClose: () => void;
}

/** Give a conversation another name. */
export default function RenameDialog({ chat, onClose }: Props) {
  const t = useTranslations("chat.rename");
  const client = useQueryClient();
  const [name, setName] = useState(chat.name);
  const rename = useMutation({
    mutationFn: () => api.PATCH("/api/chats/{chat_id}", { params: { path: { chat_id: chat.id } }, body: { name } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: chatsQuery.queryKey });
      onClose();
    },
  });
  const save = () => name.trim() && rename.mutate();
  const button = (
    <Button variant="primary" onClick={save} disabled={name.trim() === ""} busy={rename.isPending}>
      {t("save")}
    </Button>
  );
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title={t("title")} footer={button}>
      <Field label={t("name")}>
        <Input value={name} maxLength={200} onChange={(event) => setName(event.target.value)} onKeyDown={onEnter(save)} />
      </Field>
      {rename.error && <ErrorNote error={rename.error} />}
    </Dialog>
  );
}
