"use client";

import type { UseQueryResult } from "@tanstack/react-query";
import { CircleAlertIcon, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Prose } from "@/components/prose";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Failure } from "@/lib/failure";

/** Something is being loaded: `children` are skeletons of its size, by default some lines. */
export function Loading({ children, lines = 3 }: { children?: ReactNode; lines?: number }) {
  const t = useTranslations("common");
  return (
    <div role="status" aria-label={t("loading")} className="flex flex-col gap-3">
      {children ?? Array.from({ length: lines }, (_, at) => <Skeleton key={at} className="h-12" />)}
    </div>
  );
}

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  children: ReactNode;
  /** The button that ends the emptiness. */
  action?: ReactNode;
}

/** There is nothing yet: what would be here, what it is good for, and how to begin. */
export function Empty({ icon: Icon, title, children, action }: EmptyProps) {
  return (
    <div className="flex flex-col items-center gap-3 rounded-2xl border border-dashed border-line px-6 py-12 text-center">
      <Icon aria-hidden className="size-7 text-muted" strokeWidth={1.5} />
      <p className="font-medium">{title}</p>
      <p className="max-w-md text-sm text-muted">{children}</p>
      {action && <div className="pt-2">{action}</div>}
    </div>
  );
}

/** What went wrong and what to do next, in the API's own words. */
export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTranslations("common");
  const { message, hint } = useFailureWords(error);
  return (
    <div role="alert" className="flex flex-wrap items-start gap-3 rounded-xl bg-bad-soft p-4 text-sm">
      <CircleAlertIcon aria-hidden className="mt-1 size-4 shrink-0 text-bad" />
      <div className="min-w-0 flex-1 basis-48">
        <p className="font-medium text-bad">{message}</p>
        <Prose className="text-text">{hint}</Prose>
      </div>
      {onRetry && (
        <Button size="sm" onClick={onRetry}>
          {t("retry")}
        </Button>
      )}
    </div>
  );
}

interface QueryStatesProps<T> {
  query: UseQueryResult<T>;
  /** Skeletons of the size of the data. */
  loading?: ReactNode;
  /** Shown in place of `children` when `isEmpty` says so. */
  empty?: ReactNode;
  isEmpty?: (data: T) => boolean;
  children: (data: T) => ReactNode;
}

/** The four states of what is loaded: loading, error, empty, data. Old data stays in sight while it is loaded anew. */
export function QueryStates<T>({ query, loading, empty, isEmpty, children }: QueryStatesProps<T>) {
  if (query.data !== undefined) return isEmpty?.(query.data) ? empty : children(query.data);
  if (query.error) return <ErrorNote error={query.error} onRetry={() => void query.refetch()} />;
  return loading ?? <Loading />;
}

function useFailureWords(error: unknown): { message: string; hint: string } {
  const t = useTranslations("failure");
  if (!(error instanceof Failure)) return { message: t("unforeseen.message"), hint: t("unforeseen.hint") };
  if (error.code === "unreachable") return { message: t("unreachable.message"), hint: t("unreachable.hint") };
  return { message: error.message, hint: error.hint };
}
