"use client";

import { useRef, type ComponentProps } from "react";
import { Button } from "@/components/ui/button";

const ENDINGS = ".jsonl,.json,.csv,.tsv,.txt,.parquet"; // offered first; a file is judged by what is in it

interface Props extends Omit<ComponentProps<typeof Button>, "onClick"> {
  onFiles: (files: File[]) => void;
  /** Several at once. */
  multiple?: boolean;
}

/** A button that lets one choose files. */
export function PickFiles({ onFiles, multiple, ...props }: Props) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        multiple={multiple}
        accept={ENDINGS}
        onChange={({ target }) => {
          onFiles([...(target.files ?? [])]);
          target.value = ""; // the same file may be chosen again
        }}
      />
      <Button {...props} onClick={() => input.current?.click()} />
    </>
  );
}
