"use client";

import { useQuery } from "@tanstack/react-query";
import { ActivityIcon, BoxIcon, PencilIcon, Trash2Icon } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslations } from "use-intl";
import { RowLink } from "@/components/row-link";
import { QueryStates } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { chatsQuery } from "@/features/chats/queries";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";
import { useParam } from "@/lib/use-param";

type Summary = Schemas["ChatSummary"];

const RenameDialog = lazy(() => import("@/features/chats/rename-dialog")); // rarely needed
const DeleteDialog = lazy(() => import("@/features/chats/delete-dialog"));

/** All conversations, the one last talked to first. */
export function ChatList() {
  const t = useTranslations("chat.list");
  const query = useQuery(chatsQuery);
  const [renamed, setRenamed] = useState<Summary | null>(null);
  const [deleted, setDeleted] = useState<Summary | null>(null);
  return (
    <>
      <QueryStates
        query={query}
        loading={<Skeleton className="h-40" />}
        isEmpty={(chats) => chats.length === 0}
        empty={<p className="text-sm text-muted">{t("empty")}</p>}
      >
        {(chats) => (
          <ul className="flex flex-col gap-0.5">
            {chats.map((chat) => (
              <ChatRow key={chat.id} chat={chat} onRename={() => setRenamed(chat)} onDelete={() => setDeleted(chat)} />
            ))}
          </ul>
        )}
      </QueryStates>
      <Suspense>
        {renamed && <RenameDialog chat={renamed} onClose={() => setRenamed(null)} />}
        {deleted && <DeleteDialog chat={deleted} onClose={() => setDeleted(null)} />}
      </Suspense>
    </>
  );
}

function ChatRow({ chat, onRename, onDelete }: { chat: Summary; onRename: () => void; onDelete: () => void }) {
  const t = useTranslations("chat.list");
  const format = useFormat();
  const [open] = useParam("id");
  const here = open === chat.id;
  const Icon = chat.job_id ? ActivityIcon : BoxIcon;
  return (
    <li className={cn("group relative flex items-center gap-2 rounded-lg py-1.5 pr-1 pl-3 text-sm", here ? "bg-accent-soft" : "hover:bg-sunken")}>
      <Icon role="img" aria-label={chat.job_id ? t("tuned") : t("base")} className="size-4 shrink-0 text-muted" />
      <div className="min-w-0 flex-1">
        <RowLink href={`/chat/?id=${chat.id}`} aria-current={here ? "page" : undefined} className="block truncate font-normal">
          {chat.name}
        </RowLink>
        <p className="truncate text-xs text-muted">
          {format.ago(chat.updated_at)} · {chat.model}
        </p>
      </div>
      <span
        className={cn(
          "relative flex rounded-lg lg:absolute lg:right-1 lg:opacity-0 lg:group-focus-within:opacity-100 lg:group-hover:opacity-100",
          here ? "bg-accent-soft" : "lg:bg-sunken",
        )}
      >
        <Button variant="ghost" size="icon" className="size-8" onClick={onRename} aria-label={t("rename", { name: chat.name })}>
          <PencilIcon aria-hidden />
        </Button>
        <Button variant="ghost" size="icon" className="size-8" onClick={onDelete} aria-label={t("delete", { name: chat.name })}>
          <Trash2Icon aria-hidden />
        </Button>
      </span>
    </li>
  );
}
