"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { Card, Section } from "@/components/page";
import { QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { Pager } from "@/features/datasets/pager";
import { tokensQuery, type DatasetDetails } from "@/features/datasets/queries";
import { TokenLegend } from "@/components/token-legend";
import { TokenText } from "@/components/token-text";
import { useView, wholeNumber } from "@/features/datasets/use-view";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

const LOOKED_AT = 8192; // tokens beyond the maximum show as well, as far as this

interface Props {
  dataset: DatasetDetails;
  model: string;
  length: number;
}

/** The exact tokens of one row, and what becomes of each. */
export function TokenRow({ dataset, model, length }: Props) {
  const t = useTranslations("datasets.tokenRow");
  const { place } = useView(dataset.id);
  const query = useQuery(tokensQuery(dataset, model, Math.max(length, LOOKED_AT), place));
  return (
    <Section title={t("title")} lead={t("lead")}>
      <QueryStates query={query} loading={<Skeleton className="h-80 rounded-2xl" />}>
        {(page) => (
          <div className={cn("flex flex-col gap-4 transition-opacity", query.isPlaceholderData && "opacity-60")} aria-busy={query.isFetching}>
            <Turning dataset={dataset} page={page} />
            {page.rows.map((row) => (
              <OneRow key={`${row.row} ${model}`} row={row} length={length} />
            ))}
            {page.rows.length === 0 && <Card className="text-sm text-muted">{t("none")}</Card>}
          </div>
        )}
      </QueryStates>
    </Section>
  );
}

function Turning({ dataset, page }: { dataset: DatasetDetails; page: Schemas["TokensPage"] }) {
  const format = useFormat();
  const { to, go } = useView(dataset.id);
  const { offset, total, rows } = page;
  return (
    <Pager
      shown={`${rows.length > 0 ? format.number(offset + 1) : "–"} / ${format.number(total)}`}
      before={offset > 0 ? to({ offset: Math.min(offset, total) - 1 }) : null}
      after={offset + 1 < total ? to({ offset: offset + 1 }) : null}
      row={rows[0]?.row}
      onRow={(text) => {
        const row = wholeNumber(text, 1);
        if (row !== undefined) go({ row });
      }}
    />
  );
}

function OneRow({ row, length }: { row: Schemas["TokensRow"]; length: number }) {
  const t = useTranslations("datasets.tokenRow");
  const format = useFormat();
  const kept = Math.min(row.length, length);
  const trained = row.trained.slice(0, length).filter(Boolean).length;
  const special = row.special.slice(0, length).filter(Boolean).length;
  const facts = [
    { name: t("all"), value: format.number(row.length) },
    { name: t("trained"), value: `${format.number(trained)} (${format.percent(trained / Math.max(kept, 1))})` },
    { name: t("masked"), value: format.number(kept - trained) },
    { name: t("special"), value: format.number(special) },
    { name: t("cut"), value: format.number(row.length - kept), warn: row.length > kept },
  ];
  return (
    <Card className="flex flex-col gap-4 p-4 sm:p-5">
      <dl className="flex flex-wrap gap-x-6 gap-y-1 text-sm">
        {facts.map(({ name, value, warn }) => (
          <div key={name} className="flex items-baseline gap-1.5">
            <dt className="text-xs text-muted">{name}</dt>
            <dd className={cn("font-medium", warn && "text-warn")}>{value}</dd>
          </div>
        ))}
      </dl>
      {trained === 0 && <p className="rounded-lg bg-warn-soft px-3 py-2 text-sm">{t("nothingTrained")}</p>}
      <TokenText row={row} length={length} />
      <TokenLegend />
    </Card>
  );
}
