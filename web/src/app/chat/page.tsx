"use client";

import { PlusIcon } from "lucide-react";
import { Suspense } from "react";
import { useTranslations } from "use-intl";
import { ButtonLink } from "@/components/ui/button";
import { ChatList } from "@/features/chats/chat-list";
import { Conversation } from "@/features/chats/conversation";
import { Draft } from "@/features/chats/draft";
import { Start } from "@/features/chats/start";
import { useParam } from "@/lib/use-param";

export default function ChatPage() {
  return (
    <Suspense>
      <Chats />
    </Suspense>
  );
}

/** The conversations beside the one that is open, where there is room for both. */
function Chats() {
  const t = useTranslations("chat");
  return (
    <div className="lg:grid lg:grid-cols-[16rem_minmax(0,1fr)]">
      <aside
        aria-label={t("list.title")}
        className="sticky top-14 hidden h-[calc(100dvh-3.5rem)] flex-col gap-3 overflow-y-auto border-r border-line p-3 lg:flex"
      >
        <ButtonLink href="/chat/">
          <PlusIcon aria-hidden />
          {t("new")}
        </ButtonLink>
        <ChatList />
      </aside>
      <Open />
    </div>
  );
}

function Open() {
  const [id] = useParam("id");
  const [job] = useParam("job");
  const [model] = useParam("model");
  if (id) return <Conversation key={id} id={id} />;
  if (job) return <Draft key={job} talked={{ model: null, jobId: job }} />;
  if (model) return <Draft key={model} talked={{ model, jobId: null }} />;
  return <Start />;
}
