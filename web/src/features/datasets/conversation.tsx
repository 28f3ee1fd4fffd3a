"use client";

import { useState } from "react";
import { useTranslations } from "use-intl";
import { Badge } from "@/components/ui/badge";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";

type Turn = Schemas["RowBody"]["turns"][number];

const LONG = 1200; // characters; more unfolds

/** Who says what. What the assistant says is learned, unless the row says not to. */
export function Conversation({ turns }: { turns: Turn[] }) {
  const t = useTranslations("datasets.conversation");
  return (
    <ul className="flex flex-col gap-3 p-4">
      {turns.map((turn, at) => {
        const answer = turn.role === "assistant" || turn.role === "text";
        return (
          <li key={at} className="grid gap-x-4 gap-y-0.5 md:grid-cols-[6.5rem_minmax(0,1fr)]">
            <p className="flex items-center gap-2 text-xs text-muted md:flex-col md:items-start md:pt-1.5">
              {t(`roles.${turn.role as "user"}`)}
              {answer && !turn.trained && <Badge tone="warn">{t("masked")}</Badge>}
            </p>
            <Said text={turn.content} answer={answer && turn.trained} />
          </li>
        );
      })}
    </ul>
  );
}

function Said({ text, answer }: { text: string; answer: boolean }) {
  const t = useTranslations("datasets.conversation");
  const [whole, setWhole] = useState(text.length <= LONG);
  return (
    <div className={cn("min-w-0 rounded-xl px-3 py-1.5 text-sm", answer ? "bg-accent-soft" : "bg-sunken")}>
      <p className="whitespace-pre-wrap">
        {whole ? text : `${text.slice(0, LONG)}…`}
        {text.trim() === "" && <span className="text-muted">{t("nothing")}</span>}
      </p>
      {!whole && (
        <button type="button" className="min-h-6 text-xs text-accent hover:underline" onClick={() => setWhole(true)}>
          {t("more", { count: text.length - LONG })}
        </button>
      )}
    </div>
  );
}
