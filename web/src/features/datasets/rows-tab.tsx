"use client";

import { useQuery } from "@tanstack/react-query";
import { Rows3Icon, ScanTextIcon } from "lucide-react";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { Empty, QueryStates } from "@/components/states";
import { ButtonLink } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Conversation } from "@/features/datasets/conversation";
import { Pager } from "@/features/datasets/pager";
import { rowsQuery, type DatasetDetails } from "@/features/datasets/queries";
import { useView, wholeNumber } from "@/features/datasets/use-view";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

const PAGE = 20;

/** The rows as conversations, a page at a time. */
export function RowsTab({ dataset }: { dataset: DatasetDetails }) {
  const { place, to } = useView(dataset.id);
  const t = useTranslations("datasets.rows");
  const query = useQuery(rowsQuery(dataset, place, PAGE));
  return (
    <QueryStates
      query={query}
      loading={<Skeleton className="h-96 rounded-2xl" />}
      isEmpty={(page) => page.total === 0}
      empty={
        <Empty
          icon={Rows3Icon}
          title={t("none")}
          action={<ButtonLink href={to({ tab: "columns" })}>{t("sayColumns")}</ButtonLink>}
        >
          {t("noneText")}
        </Empty>
      }
    >
      {(page) => <Rows dataset={dataset} page={page} waiting={query.isPlaceholderData} />}
    </QueryStates>
  );
}

function Rows({ dataset, page, waiting }: { dataset: DatasetDetails; page: Schemas["RowsPage"]; waiting: boolean }) {
  const t = useTranslations("datasets.rows");
  const format = useFormat();
  const { place, to, go } = useView(dataset.id);
  const { offset, total, rows } = page;
  const shown = rows.length === 0 ? "–" : `${format.number(offset + 1)}–${format.number(offset + rows.length)}`;
  const pager = (
    <Pager
      shown={`${shown} / ${format.number(total)}`}
      before={offset > 0 ? to({ offset: Math.max(0, Math.min(offset, total) - PAGE) }) : null}
      after={offset + rows.length < total ? to({ offset: offset + PAGE }) : null}
      row={rows[0]?.row}
      onRow={(text) => {
        const row = wholeNumber(text, 1);
        if (row !== undefined) go({ row });
      }}
    />
  );
  return (
    <div className="flex flex-col gap-4" aria-busy={waiting}>
      {pager}
      <ol className={cn("flex flex-col gap-3 transition-opacity", waiting && "opacity-60")}>
        {rows.map(({ row, turns }) => (
          <li
            key={row}
            className={cn("rounded-2xl border bg-surface", row === place.row ? "border-accent" : "border-line")}
          >
            <div className="flex items-center justify-between gap-3 border-b border-line px-4 py-1.5 text-xs text-muted">
              {t("row", { row: format.number(row) })}
              <Link href={to({ tab: "tokens", row })} className="inline-flex min-h-6 items-center gap-1.5 hover:text-accent">
                <ScanTextIcon aria-hidden className="size-3.5" />
                {t("tokens")}
                <span className="sr-only">{t("row", { row: format.number(row) })}</span>
              </Link>
            </div>
            <Conversation turns={turns} />
          </li>
        ))}
      </ol>
      {rows.length > 3 && pager}
    </div>
  );
}
