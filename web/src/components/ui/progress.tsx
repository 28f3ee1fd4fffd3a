"use client";

import { Progress as Base } from "@base-ui/react/progress";
import { cn } from "@/lib/cn";

interface Props {
  /** What is under way. */
  label: string;
  /** Done, of `total`; null while nobody knows how much there is. */
  value: number;
  total: number | null;
  className?: string;
}

/** How far something is. */
export function Progress({ label, value, total, className }: Props) {
  const known = total !== null && total > 0;
  return (
    <Base.Root aria-label={label} value={known ? Math.min(value, total) : null} max={known ? total : 1}>
      <Base.Track className={cn("h-1.5 overflow-hidden rounded-full bg-sunken", className)}>
        <Base.Indicator className="h-full rounded-full bg-accent data-indeterminate:w-1/3 data-indeterminate:animate-pulse" />
      </Base.Track>
    </Base.Root>
  );
}
