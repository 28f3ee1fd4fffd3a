"use client";

import { ArrowDownIcon, ArrowLeftIcon } from "lucide-react";
import Link from "next/link";
import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { useSaid, type Answering } from "@/features/chats/answering";
import { Composer } from "@/features/chats/composer";
import { useDraft } from "@/features/chats/drafts";
import { ExchangeView } from "@/features/chats/exchange";
import { exchangesOf, type Turn } from "@/features/chats/exchanges";
import { Partner, type Talked } from "@/features/chats/partner";
import { Suggestions } from "@/features/chats/suggestions";
import { useFollow } from "@/features/chats/use-follow";
import { cn } from "@/lib/cn";

const OptionsDialog = lazy(() => import("@/features/chats/options-dialog")); // rarely needed

interface Props {
  /** Of the conversation, or of what it is begun with: its draft is kept under this. */
  id: string;
  title: string;
  talked: Talked;
  system: string;
  turns: Turn[];
  answering?: Answering;
  /** The conversation is being begun; why that failed. */
  busy?: boolean;
  error?: unknown;
  onAsk: (content: string, at: number, again?: boolean) => void;
  onStop?: () => void;
  onSystem: (system: string) => Promise<unknown>;
}

/** A conversation: what was said, what is being said, and where one writes. */
export function Talk({ id, title, talked, system, turns, answering, busy, error, onAsk, onStop, onSystem }: Props) {
  const t = useTranslations("chat.talk");
  const [text, setText] = useDraft(id);
  const [choosing, setChoosing] = useState(false);
  const said = useRef<HTMLDivElement>(null);
  const { away, toEnd } = useFollow(said);
  const writing = answering?.error === null;
  const exchanges = exchangesOf(turns, answering);
  const sided = talked.jobId !== null || turns.some(({ adapted }) => adapted);
  const send = (content: string) => {
    setText("");
    toEnd();
    onAsk(content, turns.length);
  };
  const retry = answering && !writing ? () => onAsk(answering.question, answering.at, true) : undefined;
  return (
    <div className="mx-auto flex min-h-[calc(100dvh-7rem-env(safe-area-inset-bottom))] w-full max-w-4xl flex-col px-4 md:min-h-[calc(100dvh-3.5rem)] md:px-8">
      <Heading title={title}>
        <Partner talked={talked} turns={turns} />
      </Heading>
      <div ref={said} className="flex flex-col gap-8 py-6">
        {system && <SystemPrompt system={system} />}
        {exchanges.length === 0 && <Suggestions jobId={talked.jobId} onChoose={setText} />}
        <ol className={cn("flex flex-col gap-8", exchanges.length === 0 && "hidden")}>
          {exchanges.map((one, at) => {
            const last = at === exchanges.length - 1;
            const again = last && !writing && !answering ? () => onAsk(one.question, one.at, true) : undefined;
            return (
              <ExchangeView key={one.at} exchange={one} sided={sided} writing={writing && last} waiting={answering} onAgain={again} />
            );
          })}
        </ol>
        {Boolean(answering?.error) && <ErrorNote error={answering?.error} onRetry={retry} />}
        {Boolean(error) && <ErrorNote error={error} />}
      </div>
      <Announcement id={id} />
      <div className="sticky bottom-[calc(3.5rem+env(safe-area-inset-bottom))] z-10 mt-auto bg-linear-to-t from-bg from-70% to-transparent pt-4 pb-3 md:bottom-0 md:pb-6">
        {away && (
          <Button size="sm" onClick={toEnd} className="absolute -top-6 left-1/2 -translate-x-1/2 shadow-float">
            <ArrowDownIcon aria-hidden />
            {t("toEnd")}
          </Button>
        )}
        <Composer
          {...{ text, busy, talked }}
          onChange={setText}
          onSend={send}
          onStop={writing ? onStop : undefined}
          onOptions={() => setChoosing(true)}
        />
      </div>
      <Suspense>{choosing && <OptionsDialog onClose={() => setChoosing(false)} system={system} onSystem={onSystem} />}</Suspense>
    </div>
  );
}

function Heading({ title, children }: { title: string; children: ReactNode }) {
  const t = useTranslations("chat");
  useEffect(() => {
    document.title = `${title} · llmlora`;
  }, [title]);
  return (
    <header className="sticky top-14 z-10 -mx-4 flex items-center gap-3 border-b border-line bg-bg px-4 py-2.5 md:-mx-8 md:px-8">
      <Link href="/chat/" aria-label={t("list.title")} className="rounded-lg p-2 text-muted hover:bg-sunken hover:text-text lg:hidden">
        <ArrowLeftIcon aria-hidden className="size-4" />
      </Link>
      <div className="min-w-0">
        <h1 className="truncate font-semibold">{title}</h1>
        {children}
      </div>
    </header>
  );
}

function SystemPrompt({ system }: { system: string }) {
  const t = useTranslations("chat.talk");
  return (
    <p className="border-l-2 border-line pl-4 text-sm whitespace-pre-wrap text-muted">
      <span className="block text-xs font-medium">{t("system")}</span>
      {system}
    </p>
  );
}

/** For those who hear the page: an answer when it is complete, not while it is being written. */
function Announcement({ id }: { id: string }) {
  const { chat, text } = useSaid();
  return (
    <p role="status" className="sr-only">
      {chat === id ? text : ""}
    </p>
  );
}
