"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { BoxIcon } from "lucide-react";
import { useState, type FormEvent } from "react";
import { useTranslations } from "use-intl";
import { Card } from "@/components/page";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Field, Input } from "@/components/ui/field";
import { modelName } from "@/features/job/ollama/commands";
import { registrationsQuery } from "@/features/job/ollama/queries";
import type { Job } from "@/features/job/queries";
import { api, of } from "@/lib/api";
import { Failure } from "@/lib/failure";

/** `known`: the name it was registered under before. */
export function RegisterForm({ job, known, version }: { job: Job; known?: string; version: string }) {
  const t = useTranslations("job.results.ollama");
  const client = useQueryClient();
  const [name, setName] = useState(known ?? modelName(job));
  const begin = useMutation({
    mutationFn: (force: boolean) => {
      const body = { name: name.trim(), force, certify: true };
      return of(api.POST("/api/training/jobs/{job_id}/ollama", { params: { path: { job_id: job.id } }, body }));
    },
    onSuccess: (begun) =>
      client.setQueryData(registrationsQuery(job.id).queryKey, (all = []) => [begun, ...all.filter(({ id }) => id !== begun.id)]),
  });
  const code = begin.error instanceof Failure ? begin.error.code : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() !== "") begin.mutate(false);
  };
  return (
    <Card>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field
          label={t("name")}
          help={t("nameHelp", { version })}
          error={code === "bad_model_name" && begin.error?.message}
        >
          <div className="flex flex-wrap gap-2">
            <Input
              value={name}
              maxLength={200}
              spellCheck={false}
              onChange={(event) => {
                setName(event.target.value);
                begin.reset();
              }}
              className="min-w-0 flex-1 basis-48 font-mono"
            />
            <Button type="submit" variant="primary" busy={begin.isPending} disabled={name.trim() === ""}>
              <BoxIcon aria-hidden />
              {known ? t("registerAgain") : t("register")}
            </Button>
          </div>
        </Field>
        {begin.error && <ErrorNote error={begin.error} />}
        {code === "model_name_taken" && <Replace name={name} onConfirm={() => begin.mutate(true)} busy={begin.isPending} />}
      </form>
    </Card>
  );
}

/** The model of somebody else that has the name: it goes only when one says so. */
function Replace({ name, onConfirm, busy }: { name: string; onConfirm: () => void; busy: boolean }) {
  const t = useTranslations("job.results.ollama");
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Button variant="danger" className="self-start" onClick={() => setAsking(true)}>
        {t("replace")}
      </Button>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={t("replaceTitle", { name })}
        description={t("replaceText")}
        action={t("replace")}
        onConfirm={onConfirm}
        busy={busy}
      />
    </>
  );
}
