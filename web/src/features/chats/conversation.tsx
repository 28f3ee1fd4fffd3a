"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { ask, stop, useAnswering } from "@/features/chats/answering";
import { chatQuery } from "@/features/chats/queries";
import { Talk } from "@/features/chats/talk";
import { api, type Schemas } from "@/lib/api";
import { Failure } from "@/lib/failure";

/** A conversation that the server keeps. */
export function Conversation({ id }: { id: string }) {
  const t = useTranslations("chat");
  const { data, error, refetch } = useQuery(chatQuery(id));
  const gone = error instanceof Failure && error.status === 404;
  if (data && !gone) return <Kept chat={data} />;
  return (
    <div className="mx-auto flex w-full max-w-4xl flex-col gap-6 px-4 py-4 md:px-8">
      <h1 className="sr-only">{t("title")}</h1>
      {error ? <ErrorNote error={error} onRetry={gone ? undefined : () => void refetch()} /> : <Skeletons />}
      {gone && (
        <ButtonLink href="/chat/" className="self-start">
          {t("new")}
        </ButtonLink>
      )}
    </div>
  );
}

function Kept({ chat }: { chat: Schemas["ChatBody"] }) {
  const client = useQueryClient();
  const answering = useAnswering((all) => all[chat.id]);
  const change = async (system: string) => {
    const answer = await api.PATCH("/api/chats/{chat_id}", { params: { path: { chat_id: chat.id } }, body: { system } });
    client.setQueryData(chatQuery(chat.id).queryKey, answer.data);
  };
  return (
    <Talk
      {...{ id: chat.id, title: chat.name, talked: { model: chat.model, jobId: chat.job_id } }}
      {...{ system: chat.system, turns: chat.turns, answering }}
      onAsk={(content, at, again) => void ask(client, chat, { content, at, again })}
      onStop={() => stop(chat.id)}
      onSystem={change}
    />
  );
}

function Skeletons() {
  return (
    <div className="flex flex-col gap-6">
      <Skeleton className="h-10 w-64" />
      <Skeleton className="ml-auto h-12 w-1/2 rounded-2xl" />
      <Skeleton className="h-40 rounded-2xl" />
    </div>
  );
}
