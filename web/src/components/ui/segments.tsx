"use client";

import { Radio } from "@base-ui/react/radio";
import { RadioGroup } from "@base-ui/react/radio-group";
import type { ReactNode } from "react";

interface Props<Value extends string> {
  label: string;
  value: Value;
  onChange: (value: Value) => void;
  options: { value: Value; label: ReactNode; lang?: string }[];
}

/** One of a few, all in sight. The arrow keys move between them. */
export function Segments<Value extends string>({ label, value, onChange, options }: Props<Value>) {
  return (
    <RadioGroup
      aria-label={label}
      value={value}
      onValueChange={onChange}
      className="inline-flex flex-wrap gap-1 rounded-xl bg-sunken p-1"
    >
      {options.map((option) => (
        <Radio.Root
          key={option.value}
          value={option.value}
          lang={option.lang}
          render={<button type="button" />}
          nativeButton
          className="inline-flex h-8 items-center gap-2 rounded-lg px-3 text-sm text-muted transition-colors hover:text-text data-checked:bg-raised data-checked:font-medium data-checked:text-text data-checked:shadow-[0_1px_2px_rgb(0_0_0/0.12)] [&_svg]:size-4 max-sm:[&_svg]:hidden"
        >
          {option.label}
        </Radio.Root>
      ))}
    </RadioGroup>
  );
}
