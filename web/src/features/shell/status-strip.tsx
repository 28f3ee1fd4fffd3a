"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { RunningJob } from "@/features/shell/running-job";
import { Mark } from "@/features/shell/navigation";
import { systemQuery } from "@/features/system/queries";
import { cn } from "@/lib/cn";
import { useConnection } from "@/lib/use-topic";

/** Always in sight and always of the same height: what runs, and whether the server answers. */
export function StatusStrip() {
  const { data } = useQuery(systemQuery);
  const running = data?.running[0];
  return (
    <header className="sticky top-0 z-20 flex h-14 items-center justify-between gap-4 border-b border-line bg-bg px-4 md:px-8">
      <div className="flex min-w-0 flex-1 items-center gap-3">
        <span className="md:hidden">
          <Mark />
        </span>
        {running && <RunningJob key={running.id} job={running} others={(data?.running.length ?? 1) - 1} />}
      </div>
      <ConnectionState />
    </header>
  );
}

function ConnectionState() {
  const t = useTranslations("connection");
  const connection = useConnection();
  return (
    <p role="status" className="flex items-center gap-2 text-xs whitespace-nowrap text-muted">
      <span
        aria-hidden
        className={cn("size-2 rounded-full", {
          "bg-line-strong": connection === "connecting",
          "bg-good": connection === "live",
          "animate-pulse bg-bad": connection === "lost",
        })}
      />
      <span className={cn(connection === "live" && "max-sm:sr-only")}>{t(connection)}</span>
    </p>
  );
}
