"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRoundIcon } from "lucide-react";
import { useState, type FormEvent } from "react";
import { useTranslations } from "use-intl";
import { LocaleChoice } from "@/components/locale-choice";
import { Prose } from "@/components/prose";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/field";
import { signIn } from "@/lib/api";

/** For a browser that the server does not know yet. */
export default function SignIn() {
  const t = useTranslations("signIn");
  const client = useQueryClient();
  const [text, setText] = useState("");
  const enter = useMutation({ mutationFn: () => signIn(tokenIn(text)), onSuccess: () => client.resetQueries() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter.mutate();
  };
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-6 px-4 py-12">
      <div className="flex flex-col gap-2">
        <KeyRoundIcon aria-hidden className="mb-2 size-8 text-accent" strokeWidth={1.5} />
        <h1 className="text-2xl font-semibold tracking-tight">{t("title")}</h1>
        <Prose className="text-sm text-muted">{t("lead")}</Prose>
      </div>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field label={t("token")} help={t("tokenHelp")}>
          <Input
            value={text}
            onChange={(event) => setText(event.target.value)}
            autoComplete="off"
            spellCheck={false}
            required
            className="font-mono"
          />
        </Field>
        {enter.error && <ErrorNote error={enter.error} />}
        <Button type="submit" variant="primary" busy={enter.isPending} disabled={text.trim() === ""}>
          {t("enter")}
        </Button>
      </form>
      <LocaleChoice />
    </main>
  );
}

/** The token, also when the whole address was pasted. */
function tokenIn(text: string): string {
  return text.trim().replace(/^.*#token=/, "");
}
