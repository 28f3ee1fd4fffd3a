"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { DownloadIcon } from "lucide-react";
import { useState, type FormEvent } from "react";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { ErrorNote, QueryStates } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/field";
import { Skeleton } from "@/components/ui/skeleton";
import { OllamaAway } from "@/features/models/ollama-away";
import { PullRow } from "@/features/models/pull-row";
import { modelsQuery, pull, pullsQuery } from "@/features/models/queries";

const EXAMPLES = ["gemma3:270m", "llama3.2:1b", "gemma3:1b"];

/** Getting more bases through Ollama, and how far that is. Without Ollama: how to get it going. */
export function Pulls() {
  const t = useTranslations("models.pull");
  const models = useQuery(modelsQuery);
  const pulls = useQuery(pullsQuery);
  return (
    <Section title={t("title")}>
      <QueryStates query={models} loading={<Skeleton className="h-42 rounded-2xl" />}>
        {({ ollama }) => (
          <Card className="flex flex-col gap-4">
            {ollama.error ? (
              <OllamaAway error={ollama.error} />
            ) : (
              <PullForm version={ollama.version ?? ""} />
            )}
            {pulls.error && <ErrorNote error={pulls.error} onRetry={() => void pulls.refetch()} />}
            {pulls.data && pulls.data.length > 0 && (
              <ul className="divide-y divide-line border-t border-line pt-1">
                {pulls.data.map((one) => (
                  <PullRow key={one.id} job={one} />
                ))}
              </ul>
            )}
          </Card>
        )}
      </QueryStates>
    </Section>
  );
}

function PullForm({ version }: { version: string }) {
  const t = useTranslations("models.pull");
  const client = useQueryClient();
  const [name, setName] = useState("");
  const start = useMutation({
    mutationFn: () => pull(name.trim()),
    onSuccess: async () => {
      setName("");
      await client.invalidateQueries({ queryKey: pullsQuery.queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) start.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <Field label={t("name")} help={t("help", { version })}>
        <div className="flex flex-wrap gap-2">
          <Input value={name} onChange={(event) => setName(event.target.value)} placeholder={EXAMPLES[0]} className="max-w-80 font-mono" />
          <Button type="submit" variant="primary" busy={start.isPending} disabled={name.trim() === ""}>
            <DownloadIcon aria-hidden />
            {t("start")}
          </Button>
        </div>
      </Field>
      <p className="flex flex-wrap items-center gap-2 text-xs text-muted">
        {t("examples")}
        {EXAMPLES.map((example) => (
          <button
            key={example}
            type="button"
            onClick={() => setName(example)}
            className="h-7 rounded-full border border-line px-3 font-mono hover:border-line-strong hover:text-text"
          >
            {example}
          </button>
        ))}
      </p>
      {start.error && <ErrorNote error={start.error} />}
    </form>
  );
}
