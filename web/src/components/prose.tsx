import { Fragment } from "react";
import { cn } from "@/lib/cn";

/** A sentence of the catalogue: what stands between backticks is code. */
export function Prose({ children, className }: { children: string; className?: string }) {
  return (
    <p className={cn("whitespace-pre-line", className)}>
      {children.split("`").map((part, at) =>
        at % 2 === 1 ? (
          <code key={at} className="rounded bg-sunken px-1.5 py-0.5 font-mono text-[0.85em] text-text">
            {part}
          </code>
        ) : (
          <Fragment key={at}>{part}</Fragment>
        ),
      )}
    </p>
  );
}
