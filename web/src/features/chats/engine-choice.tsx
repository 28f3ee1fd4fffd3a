"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Select } from "@/components/ui/select";
import { drawing, useOptions, type Engine } from "@/features/chats/options-store";
import type { Talked } from "@/features/chats/partner";
import { enginesQuery } from "@/features/chats/queries";

/** What answers: left to the server, or one that was chosen, and then that one or nobody. */
export default function EngineChoice({ talked }: { talked: Talked }) {
  const t = useTranslations("chat.engine");
  const options = useOptions();
  const { data } = useQuery(enginesQuery(talked, drawing(options)));
  const found = (engine: Engine) => data?.find((one) => one.engine === engine);
  const first = data?.[0]?.name;
  const fixed = (["ollama", "llama.cpp"] as const).map((value) => ({
    value,
    label: found(value)?.name ?? value,
    note: found(value)?.reason,
    disabled: Boolean(found(value)?.reason),
  }));
  return (
    <Select<Engine>
      aria-label={t("label")}
      value={options.engine}
      onChange={(engine) => useOptions.setState({ engine })}
      options={[{ value: "auto", label: first ? t("autoNow", { name: first }) : t("auto"), note: t("autoNote") }, ...fixed]}
      className="w-auto max-w-full border-transparent bg-transparent text-xs text-muted hover:bg-sunken"
    />
  );
}
