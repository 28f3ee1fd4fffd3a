import { ChevronRightIcon } from "lucide-react";
import type { ReactNode } from "react";

/** A line that opens. */
export function Fold({ title, children }: { title: ReactNode; children: ReactNode }) {
  return (
    <details className="group text-sm">
      <summary className="flex min-h-10 items-center gap-2 py-1.5 font-medium">
        <ChevronRightIcon aria-hidden className="size-4 shrink-0 text-muted transition-transform group-open:rotate-90" />
        {title}
      </summary>
      <div className="pb-4">{children}</div>
    </details>
  );
}
