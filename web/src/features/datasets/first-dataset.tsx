"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { FileUpIcon, SparklesIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { addressOf } from "@/features/datasets/address";
import { datasetsQuery } from "@/features/datasets/queries";
import { api, of } from "@/lib/api";
import { cn } from "@/lib/cn";

/** There is none yet: a learner goes on at once with the sample, others bring their own. */
export function FirstDataset({ onUpload }: { onUpload: () => void }) {
  const t = useTranslations("datasets.first");
  const client = useQueryClient();
  const router = useRouter();
  const sample = useMutation({
    mutationFn: () => of(api.POST("/api/datasets/sample")),
    onSuccess: ({ id }) => {
      void client.invalidateQueries({ queryKey: datasetsQuery.queryKey });
      router.push(addressOf(id));
    },
  });
  return (
    <div className="flex flex-col gap-3">
      <div className="grid gap-3 md:grid-cols-2">
        <Way icon={<SparklesIcon aria-hidden />} title={t("sampleTitle")} text={t("sampleText")} first>
          <Button variant="primary" busy={sample.isPending} onClick={() => sample.mutate()}>
            {t("sample")}
          </Button>
        </Way>
        <Way icon={<FileUpIcon aria-hidden />} title={t("ownTitle")} text={t("ownText")}>
          <Button onClick={onUpload}>{t("own")}</Button>
        </Way>
      </div>
      {sample.error && <ErrorNote error={sample.error} />}
      <Shapes />
    </div>
  );
}

function Way({ icon, title, text, first, children }: { icon: ReactNode; title: string; text: string; first?: boolean; children: ReactNode }) {
  return (
    <section
      className={cn(
        "flex flex-col items-start gap-3 rounded-2xl border border-dashed p-6 [&>svg]:size-6 [&>svg]:stroke-[1.5]",
        first ? "border-accent bg-accent-soft [&>svg]:text-accent" : "border-line-strong bg-surface [&>svg]:text-muted",
      )}
    >
      {icon}
      <h2 className="font-medium">{title}</h2>
      <p className={cn("flex-1 text-sm", first ? "text-text" : "text-muted")}>{text}</p>
      {children}
    </section>
  );
}

const EXAMPLES = {
  jsonl: '{"instruction": "…", "output": "…"}',
  messages: '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}',
  text: '{"text": "…"}',
};

/** How rows may look. */
function Shapes() {
  const t = useTranslations("datasets.first.shapes");
  const example = (text: string) => <code className="font-mono text-[0.8125rem]">{text}</code>;
  return (
    <section className="rounded-2xl border border-line bg-surface p-5 text-sm">
      <h2 className="font-medium">{t("title")}</h2>
      <dl className="mt-3 grid gap-x-6 gap-y-2 md:grid-cols-[11rem_1fr]">
        <dt className="text-muted">{t("table")}</dt>
        <dd>{example(t("tableExample"))}</dd>
        <dt className="text-muted">{t("jsonl")}</dt>
        <dd>{example(EXAMPLES.jsonl)}</dd>
        <dt className="text-muted">{t("messages")}</dt>
        <dd>{example(EXAMPLES.messages)}</dd>
        <dt className="text-muted">{t("text")}</dt>
        <dd>{example(EXAMPLES.text)}</dd>
      </dl>
      <p className="mt-3 text-xs text-muted">{t("note")}</p>
    </section>
  );
}
