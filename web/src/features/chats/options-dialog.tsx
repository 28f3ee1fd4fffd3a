"use client";

import { useMutation } from "@tanstack/react-query";
import { DicesIcon, RotateCcwIcon } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field, Input, Textarea } from "@/components/ui/field";
import { Slider } from "@/components/ui/slider";
import { anySeed, DEFAULTS, useOptions } from "@/features/chats/options-store";
import { useFormat } from "@/lib/use-format";

const MOST_SEED = 2 ** 32 - 2;

interface Props {
  onClose: () => void;
  system: string;
  onSystem: (system: string) => Promise<unknown>;
}

/** How answers are drawn, for all conversations; and what this one begins with. */
export default function OptionsDialog({ onClose, system, onSystem }: Props) {
  const t = useTranslations("chat.options");
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title={t("title")}>
      <Sampling />
      <hr className="border-line" />
      <System key={system} system={system} onSave={onSystem} />
    </Dialog>
  );
}

function Sampling() {
  const t = useTranslations("chat.options");
  const format = useFormat();
  const options = useOptions();
  const set = useOptions.setState;
  return (
    <>
      <Slider
        {...{ label: t("temperature"), help: t("temperatureHelp"), value: options.temperature, min: 0, max: 2, step: 0.1 }}
        shown={format.number(options.temperature)}
        onChange={(temperature) => set({ temperature })}
      />
      <Slider
        {...{ label: t("topP"), help: t("topPHelp"), value: options.top_p, min: 0.05, max: 1, step: 0.05 }}
        shown={format.number(options.top_p)}
        onChange={(top_p) => set({ top_p })}
      />
      <Slider
        {...{ label: t("maxTokens"), help: t("maxTokensHelp"), value: options.max_tokens, min: 32, max: 2048, step: 32 }}
        shown={format.number(options.max_tokens)}
        onChange={(max_tokens) => set({ max_tokens })}
      />
      <Seed seed={options.seed} onChange={(seed) => set({ seed })} />
      <Button className="self-start" size="sm" onClick={() => set(DEFAULTS)}>
        <RotateCcwIcon aria-hidden />
        {t("reset")}
      </Button>
    </>
  );
}

function Seed({ seed, onChange }: { seed: number | null; onChange: (seed: number | null) => void }) {
  const t = useTranslations("chat.options");
  const typed = (text: string) => {
    const digits = text.normalize("NFKC").replace(/\D/g, "");
    onChange(digits === "" ? null : Math.min(Number(digits), MOST_SEED));
  };
  return (
    <Field label={t("seed")} help={t("seedHelp")}>
      <div className="flex gap-2">
        <Input inputMode="numeric" value={seed ?? ""} placeholder={t("seedAny")} onChange={(event) => typed(event.target.value)} className="max-w-44" />
        <Button size="icon" onClick={() => onChange(anySeed())} aria-label={t("dice")} title={t("dice")}>
          <DicesIcon aria-hidden />
        </Button>
      </div>
    </Field>
  );
}

function System({ system, onSave }: { system: string; onSave: (system: string) => Promise<unknown> }) {
  const t = useTranslations("chat.options");
  const [text, setText] = useState(system);
  const save = useMutation({ mutationFn: () => onSave(text) });
  return (
    <div className="flex flex-col gap-2">
      <Field label={t("system")} help={t("systemHelp")}>
        <Textarea value={text} onChange={(event) => setText(event.target.value)} placeholder={t("systemExample")} />
      </Field>
      {save.error && <ErrorNote error={save.error} />}
      <Button className="self-end" size="sm" variant="primary" disabled={text === system} busy={save.isPending} onClick={() => save.mutate()}>
        {t("save")}
      </Button>
    </div>
  );
}
