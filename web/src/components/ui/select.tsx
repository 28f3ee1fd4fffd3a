"use client";

import { Select as Base } from "@base-ui/react/select";
import { CheckIcon, ChevronsUpDownIcon } from "lucide-react";
import type { ReactNode } from "react";
import { INPUT } from "@/components/ui/field";
import { cn } from "@/lib/cn";

interface Props<Value extends string> {
  value: Value | null;
  onChange: (value: Value) => void;
  /** `note`: what helps to choose, below the label; of one that cannot be chosen, why. */
  options: { value: Value; label: ReactNode; note?: ReactNode; disabled?: boolean }[];
  placeholder?: string;
  disabled?: boolean;
  className?: string;
  /** Needed outside of a `Field`. */
  "aria-label"?: string;
}

/** One of several. */
export function Select<Value extends string>({ value, onChange, options, placeholder, disabled, className, ...named }: Props<Value>) {
  return (
    <Base.Root
      items={options}
      value={value}
      disabled={disabled}
      onValueChange={(chosen) => chosen !== null && onChange(chosen)}
    >
      <Base.Trigger {...named} className={cn(INPUT, "flex h-9 items-center justify-between gap-2 text-left", className)}>
        <Base.Value placeholder={placeholder} className="truncate data-placeholder:text-muted" />
        <Base.Icon className="text-muted">
          <ChevronsUpDownIcon className="size-4" aria-hidden />
        </Base.Icon>
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={6} alignItemWithTrigger={false} className="z-50">
          <Base.Popup className="max-h-(--available-height) max-w-(--available-width) min-w-(--anchor-width) overflow-y-auto rounded-xl border border-line bg-surface p-1 text-sm shadow-float outline-none">
            {options.map((option) => (
              <Base.Item
                key={option.value}
                value={option.value}
                disabled={option.disabled}
                className="flex min-h-8 items-center justify-between gap-3 rounded-lg px-3 py-1 outline-none data-disabled:text-muted data-highlighted:bg-sunken"
              >
                <span className="min-w-0">
                  <Base.ItemText>{option.label}</Base.ItemText>
                  {option.note && <span className="block max-w-96 text-xs text-muted">{option.note}</span>}
                </span>
                <Base.ItemIndicator>
                  <CheckIcon className="size-4 text-accent" aria-hidden />
                </Base.ItemIndicator>
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
