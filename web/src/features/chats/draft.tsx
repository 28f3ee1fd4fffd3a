"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useTranslations } from "use-intl";
import { ask } from "@/features/chats/answering";
import { setDraft, useDraft } from "@/features/chats/drafts";
import type { Talked } from "@/features/chats/partner";
import { chatQuery, chatsQuery } from "@/features/chats/queries";
import { Talk } from "@/features/chats/talk";
import { api, of } from "@/lib/api";

/** A conversation that begins with its first question: looking does not leave empty ones behind. */
export function Draft({ talked }: { talked: Talked }) {
  const t = useTranslations("chat");
  const client = useQueryClient();
  const router = useRouter();
  const id = talked.jobId ?? talked.model ?? "";
  const [system, setSystem] = useDraft(`system:${id}`);
  const begin = useMutation({
    mutationFn: (content: string) => {
      const body = { name: nameOf(content), model: talked.model, job_id: talked.jobId, system };
      return of(api.POST("/api/chats", { body }));
    },
    onSuccess: (chat, content) => {
      client.setQueryData(chatQuery(chat.id).queryKey, chat);
      void client.invalidateQueries({ queryKey: chatsQuery.queryKey, exact: true });
      setSystem("");
      void ask(client, chat, { content, at: 0 });
      router.replace(`/chat/?id=${chat.id}`);
    },
    onError: (_, content) => setDraft(id, content),
  });
  return (
    <Talk
      {...{ id, title: t("new"), talked, system, turns: [], busy: begin.isPending, error: begin.error }}
      onAsk={(content) => begin.mutate(content)}
      onSystem={(changed) => Promise.resolve(setSystem(changed))}
    />
  );
}

/** What a conversation is called until someone names it: how it begins, without what no name may hold. */
function nameOf(content: string): string {
  const plain = content.replace(/[\s\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
  return [...plain].slice(0, 60).join("") || "…";
}
