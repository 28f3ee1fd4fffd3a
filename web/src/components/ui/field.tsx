import { Field as Base } from "@base-ui/react/field";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";

interface Props {
  label: ReactNode;
  /** What it does. */
  help?: ReactNode;
  /** What is allowed or safe: `1–512`. */
  range?: ReactNode;
  error?: ReactNode;
  className?: string;
  /** An `Input`, `Textarea` or `Select`; it is tied to the label, the help and the error. */
  children: ReactNode;
}

/** One question of a form. */
export function Field({ label, help, range, error, className, children }: Props) {
  return (
    <Base.Root invalid={Boolean(error)} className={cn("flex flex-col gap-1.5", className)}>
      <div className="flex items-baseline justify-between gap-3">
        <Base.Label className="text-sm font-medium">{label}</Base.Label>
        {range && <span className="shrink-0 text-xs whitespace-nowrap text-muted">{range}</span>}
      </div>
      {children}
      {help && <Base.Description className="text-xs leading-relaxed text-muted">{help}</Base.Description>}
      <Base.Error match={Boolean(error)} className="text-xs text-bad">
        {error}
      </Base.Error>
    </Base.Root>
  );
}

export const INPUT =
  "w-full rounded-lg border border-line-strong/60 bg-surface px-3 text-sm placeholder:text-muted data-invalid:border-bad disabled:opacity-50";

export function Input({ className, ...props }: ComponentProps<typeof Base.Control>) {
  return <Base.Control {...props} className={cn(INPUT, "h-9", className as string)} />;
}

export function Textarea({ className, ...props }: ComponentProps<"textarea">) {
  return (
    <Base.Control render={<textarea {...props} className={cn(INPUT, "min-h-24 py-2 leading-relaxed", className)} />} />
  );
}
