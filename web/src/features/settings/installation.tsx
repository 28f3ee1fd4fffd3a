"use client";

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Facts } from "@/components/facts";
import { Section } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { systemQuery } from "@/features/system/queries";
import { useFormat } from "@/lib/use-format";

const mono = (text: ReactNode) => <span className="font-mono text-[0.8125rem] whitespace-pre-line">{text}</span>;

/** Where things are and which versions these are: decided by the server's environment, only shown here. */
export function Installation() {
  const t = useTranslations("settings");
  const format = useFormat();
  const query = useQuery(systemQuery);
  const from = (variable: string) => t.rich("from", { variable, code: mono });
  const skeleton = (height: string) => <Skeleton className={`${height} rounded-2xl`} />;
  return (
    <>
      <Section title={t("server")} lead={t("serverLead")}>
        <QueryStates query={query} loading={skeleton("h-90")}>
          {({ settings }) => (
            <Facts
              facts={[
                { name: t("dataDirectory"), value: mono(settings.data_directory), note: from("LLMLORA_HOME") },
                { name: t("database"), value: mono(settings.database), note: from("LLMLORA_DATABASE_URL") },
                { name: t("ollamaAddress"), value: mono(settings.ollama_address), note: from("OLLAMA_HOST") },
                { name: t("ollamaStores"), value: mono(settings.ollama_stores.join("\n")), note: from("OLLAMA_MODELS") },
                {
                  name: t("memoryLimit"),
                  value: settings.memory_limit_mb === null ? t("noLimit") : format.bytes(settings.memory_limit_mb * 1e6),
                  note: from("LLMLORA_MEMORY_LIMIT"),
                },
              ]}
            />
          )}
        </QueryStates>
      </Section>
      <Section title={t("versions")}>
        <QueryStates query={query} loading={skeleton("h-23")}>
          {({ versions }) => (
            <Facts
              facts={[
                { name: "llmlora", value: versions.llmlora },
                { name: "Python", value: versions.python },
              ]}
            />
          )}
        </QueryStates>
      </Section>
    </>
  );
}
