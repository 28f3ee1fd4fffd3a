"use client";

import { FileUpIcon } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { Prose } from "@/components/prose";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field, Textarea } from "@/components/ui/field";
import { PickFiles } from "@/features/datasets/pick-files";
import { startUploads } from "@/features/datasets/uploads";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

/** Files, or rows that are pasted. What becomes of them shows on the page: the dialog is gone then. */
export default function UploadDialog({ open, onOpenChange }: Props) {
  const t = useTranslations("datasets.upload");
  const start = (files: { name: string; file: Blob }[]) => {
    if (files.length === 0) return;
    startUploads(files);
    onOpenChange(false);
  };
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={t("title")} description={t("oneEach")} className="max-w-xl">
      <div className="flex flex-col items-center gap-3 rounded-2xl border border-dashed border-line-strong px-6 py-8 text-center">
        <FileUpIcon aria-hidden className="size-7 text-muted" strokeWidth={1.5} />
        <p className="text-sm">{t("dropHere")}</p>
        <PickFiles variant="primary" multiple onFiles={(files) => start(files.map((file) => ({ name: file.name, file })))}>
          {t("choose")}
        </PickFiles>
        <p className="text-xs text-muted">{t("formats")}</p>
      </div>
      <Pasted onPasted={(text) => start([{ name: t("pastedName"), file: new Blob([text]) }])} />
    </Dialog>
  );
}

function Pasted({ onPasted }: { onPasted: (text: string) => void }) {
  const t = useTranslations("datasets.upload");
  const [text, setText] = useState("");
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        onPasted(text);
      }}
    >
      <Field label={t("paste")} help={<Prose>{t("pasteHelp")}</Prose>}>
        <Textarea
          value={text}
          onChange={({ target }) => setText(target.value)}
          spellCheck={false}
          className="max-h-60 min-h-28 font-mono text-[0.8125rem]"
        />
      </Field>
      <div className="flex justify-end">
        <Button type="submit" disabled={text.trim() === ""}>
          {t("pasteSend")}
        </Button>
      </div>
    </form>
  );
}
