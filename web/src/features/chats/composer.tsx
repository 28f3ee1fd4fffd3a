"use client";

import { ArrowUpIcon, SlidersHorizontalIcon, SquareIcon } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, type FormEvent } from "react";
import { useTranslations } from "use-intl";
import { Button } from "@/components/ui/button";
import { Segments } from "@/components/ui/segments";
import { useOptions, WHO } from "@/features/chats/options-store";
import type { Talked } from "@/features/chats/partner";
import { onEnter } from "@/lib/composing";
import { useFormat } from "@/lib/use-format";

const EngineChoice = lazy(() => import("@/features/chats/engine-choice")); // it brings the list of choices along

interface Props {
  text: string;
  onChange: (text: string) => void;
  onSend: (text: string) => void;
  /** Ends the answer that is being written; missing when none is. */
  onStop?: () => void;
  /** The conversation is being begun. */
  busy?: boolean;
  talked: Talked;
  onOptions: () => void;
}

/** Where one writes. Enter sends, Shift+Enter begins a line, the Enter of an input method does neither. */
export function Composer({ text, onChange, onSend, onStop, busy, talked, onOptions }: Props) {
  const t = useTranslations("chat.composer");
  const box = useRef<HTMLTextAreaElement>(null);
  const ready = text.trim() !== "" && !onStop && !busy;
  const write = () => {
    // with a keyboard at hand one writes on at once; on a phone its keyboard would cover the page
    if (window.matchMedia("(pointer: fine)").matches) box.current?.focus({ preventScroll: true });
  };
  const send = () => ready && onSend(text.trim());
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send();
    write();
  };
  const stop = () => {
    onStop?.();
    write();
  };
  useEffect(write, []);
  return (
    <form onSubmit={submit} className="rounded-2xl border border-line-strong/60 bg-surface shadow-float focus-within:border-accent">
      <textarea
        ref={box}
        aria-label={t("message")}
        aria-describedby="composer-keys"
        placeholder={t("placeholder")}
        value={text}
        rows={1}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onEnter(send)}
        className="field-sizing-content block max-h-48 min-h-12 w-full resize-none bg-transparent px-4 pt-3 pb-1 text-[0.9375rem] leading-relaxed outline-none placeholder:text-muted"
      />
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1 p-2">
        {talked.jobId !== null && <Who />}
        <OptionsButton onClick={onOptions} />
        <Suspense fallback={<span className="h-9 w-40" />}>
          <EngineChoice talked={talked} />
        </Suspense>
        <span id="composer-keys" className="ml-auto text-xs text-muted max-lg:sr-only">
          {t("keys")}
        </span>
        {onStop ? (
          // another element than the one that sends: it would become that one in the middle of the click
          <Button key="stop" variant="primary" size="icon" onClick={stop} aria-label={t("stop")} title={t("stop")} className="max-lg:ml-auto">
            <SquareIcon aria-hidden fill="currentColor" />
          </Button>
        ) : (
          <Button key="send" type="submit" variant="primary" size="icon" busy={busy} disabled={!ready} aria-label={t("send")} title={t("send")} className="max-lg:ml-auto">
            <ArrowUpIcon aria-hidden />
          </Button>
        )}
      </div>
    </form>
  );
}

function Who() {
  const t = useTranslations("chat.composer");
  const who = useOptions((options) => options.who);
  return (
    <Segments
      label={t("who")}
      value={who}
      onChange={(chosen) => useOptions.setState({ who: chosen })}
      options={WHO.map((value) => ({ value, label: t(value) }))}
    />
  );
}

function OptionsButton({ onClick }: { onClick: () => void }) {
  const t = useTranslations("chat.composer");
  const format = useFormat();
  const temperature = useOptions((options) => options.temperature);
  return (
    <Button variant="ghost" onClick={onClick} className="px-3">
      <SlidersHorizontalIcon aria-hidden />
      <span className="sr-only">{t("options")}</span>
      <span className="text-xs">{t("temperature", { value: format.number(temperature) })}</span>
    </Button>
  );
}
