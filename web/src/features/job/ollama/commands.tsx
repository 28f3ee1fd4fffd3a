"use client";

import { ChevronRightIcon } from "lucide-react";
import { useTranslations } from "use-intl";
import { CopyableCode } from "@/components/copyable-code";
import { Prose } from "@/components/prose";
import { type Job } from "@/features/job/queries";

const MODEL = "ollama:";

/** The commands that give the result to Ollama by hand: with the adapter where its base is Ollama's, and merged in any case. */
export function Commands({ job }: { job: Job }) {
  const t = useTranslations("job.results.ollama");
  const base = String(job.recipe.model);
  const merged = commandsOf(job, "merged.gguf", (file) => [`FROM ./${file}`]);
  const adapter =
    base.startsWith(MODEL) &&
    commandsOf(job, "adapter.gguf", (file) => [`FROM ${base.slice(MODEL.length)}`, `ADAPTER ./${file}`]);
  return (
    <details className="group">
      <summary className="flex min-h-10 items-center gap-2 text-sm font-medium">
        <ChevronRightIcon aria-hidden className="size-4 shrink-0 text-muted transition-transform group-open:rotate-90" />
        {t("byHand")}
      </summary>
      <div className="flex flex-col gap-3 pt-2">
        <Prose className="text-sm">{t("merged")}</Prose>
        <CopyableCode label={t("commands")}>{merged}</CopyableCode>
        {adapter && (
          <>
            <Prose className="text-sm">{t("adapter")}</Prose>
            <CopyableCode label={t("adapterCommands")}>{adapter}</CopyableCode>
          </>
        )}
      </div>
    </details>
  );
}

/** To be run where the download lies. The name that it was saved under may be anything, hence the short one. */
function commandsOf(job: Job, artefact: "merged.gguf" | "adapter.gguf", modelfile: (file: string) => string[]): string {
  const saved = `${job.name.replaceAll(/[/\\:]/g, "_")}-${artefact}`;
  const name = modelName(job);
  return [
    ...(isPlain(saved) ? [] : [`mv -- ${quoted(saved)} ${artefact}`]),
    "cat > Modelfile <<'EOF'",
    ...modelfile(isPlain(saved) ? saved : artefact),
    "EOF",
    `ollama create ${name} -f Modelfile`,
    `ollama run ${name}`,
  ].join("\n");
}

function isPlain(file: string): boolean {
  return /^[\w.]+[\w.-]*$/.test(file);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What Ollama may call it. */
export function modelName({ name, id }: Job): string {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return plain || `llmlora-${id}`;
}
