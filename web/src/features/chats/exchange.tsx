"use client";

import { CopyIcon, RefreshCwIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { toast } from "@/components/ui/toast";
import { AnswerText } from "@/features/chats/answer-text";
import type { Answering } from "@/features/chats/answering";
import type { Answer, Exchange, Turn } from "@/features/chats/exchanges";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

interface Props {
  exchange: Exchange;
  /** Whether a trained adapter can be at work, so that it is said who answers. */
  sided: boolean;
  /** What is waited for, and what answers; missing when nothing is. */
  waiting?: Pick<Answering, "outlook" | "engine">;
  writing?: boolean;
  onAgain?: () => void;
}

/** A question and its answers, those of both sides beside each other. */
export function ExchangeView({ exchange, sided, waiting, writing, onAgain }: Props) {
  const t = useTranslations("chat.talk");
  const { question, answers } = exchange;
  const next = answers.findIndex(({ text }) => text === "");
  const current = next === -1 ? answers.length - 1 : Math.max(0, next - 1);
  const state = (at: number) => {
    if (!writing) return "said";
    if (answers[at]?.text) return at === current ? "writing" : "said";
    return at === 0 ? "first" : "later";
  };
  return (
    <li className="flex flex-col gap-4">
      <p className="ml-auto max-w-[85%] rounded-2xl rounded-br-md bg-accent-soft px-4 py-2.5 whitespace-pre-wrap">
        <span className="sr-only">{t("you")}</span>
        {question}
      </p>
      <div className={cn("grid gap-4", answers.length > 1 && "md:grid-cols-2")}>
        {answers.map((answer, at) => (
          <AnswerView key={answer.side} answer={answer} sided={sided} state={state(at)} waiting={waiting} onAgain={at === 0 ? onAgain : undefined} />
        ))}
      </div>
    </li>
  );
}

interface AnswerProps extends Pick<Props, "sided" | "waiting" | "onAgain"> {
  answer: Answer;
  state: "said" | "writing" | "first" | "later";
}

function AnswerView({ answer: { side, text, facts }, sided, state, waiting, onAgain }: AnswerProps) {
  const t = useTranslations("chat.talk");
  return (
    <article
      aria-label={sided ? t(side) : t("answer")}
      className={cn("flex min-w-0 flex-col gap-2", sided && "rounded-2xl border border-line bg-surface p-4")}
    >
      {sided && <Badge tone={side === "tuned" ? "accent" : "neutral"} className="self-start">{t(side)}</Badge>}
      {text ? (
        <AnswerText text={text} writing={state === "writing"} />
      ) : facts ? (
        <p className="text-sm text-muted">{t("nothing")}</p>
      ) : (
        <p className={cn("text-sm text-muted", state === "first" && "animate-pulse")}>
          {state === "later" ? t("later") : t(`outlook.${waiting?.outlook ?? "ready"}`)}
        </p>
      )}
      <div className="mt-auto flex min-h-8 items-end justify-between gap-2">
        {facts ? <AnswerFacts facts={facts} /> : <p className="text-xs text-muted">{state !== "later" && waiting?.engine}</p>}
        {facts && (
          <span className="-mr-2 -mb-1.5 flex">
            {text && <Copy text={text} />}
            {onAgain && (
              <Button variant="ghost" size="icon" className="size-8" onClick={onAgain} aria-label={t("again")} title={t("again")}>
                <RefreshCwIcon aria-hidden />
              </Button>
            )}
          </span>
        )}
      </div>
    </article>
  );
}

function Copy({ text }: { text: string }) {
  const t = useTranslations("chat.talk");
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  };
  return (
    <Button variant="ghost" size="icon" className="size-8" onClick={() => void copy()} aria-label={t("copy")} title={t("copy")}>
      <CopyIcon aria-hidden />
    </Button>
  );
}

/** What answered, how long it took, how much it said, and how that was drawn: enough to get the same again. */
function AnswerFacts({ facts: { engine, seconds, tokens, temperature, seed } }: { facts: Turn }) {
  const t = useTranslations("chat.facts");
  const format = useFormat();
  const known = typeof seconds === "number" && typeof tokens === "number";
  const said = [
    engine,
    known && format.number(seconds, { style: "unit", unit: "second", maximumFractionDigits: 1 }),
    known && t("tokens", { count: tokens, rate: format.number(tokens / Math.max(seconds, 0.001), { maximumFractionDigits: 0 }) }),
    typeof temperature === "number" && t("temperature", { value: format.number(temperature) }),
    typeof seed === "number" && t("seed", { value: String(seed) }),
  ];
  return (
    <ul className="flex flex-wrap gap-x-3 text-xs text-muted">
      {said.filter(Boolean).map((one, at) => (
        <li key={at} className={cn(one !== engine && "whitespace-nowrap")}>
          {one}
        </li>
      ))}
    </ul>
  );
}
