"use client";

import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { jobTokensQuery, TOKEN_ROWS, type Job } from "@/features/job/queries";
import { Card } from "@/components/page";
import { QueryStates } from "@/components/states";
import { TokenLegend } from "@/components/token-legend";
import { TokenText } from "@/components/token-text";
import { Button } from "@/components/ui/button";
import { Badge } from "@/components/ui/badge";
import { Skeleton } from "@/components/ui/skeleton";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";
import { useParam } from "@/lib/use-param";

type Row = Schemas["TokensRow"];

/** The rows as this job reads them: the exact tokens, and which of them it learns. */
export function Trained({ job }: { job: Job }) {
  const t = useTranslations("job.trained");
  const [row, setRow] = useParam("row");
  const offset = Math.max(0, Math.floor((Number(row) || 0) / TOKEN_ROWS) * TOKEN_ROWS);
  const query = useQuery(jobTokensQuery(job.id, offset));
  const turn = (by: number) => setRow(offset + by > 0 ? String(offset + by) : null);
  return (
    <div className="flex flex-col gap-4">
      <p className="text-sm text-muted">{t("lead")}</p>
      <TokenLegend />
      <QueryStates query={query} loading={<Skeleton className="h-120 rounded-2xl" />}>
        {({ total, rows }) => (
          <>
            {rows.map((one) => (
              <TokenRow key={one.row} row={one} />
            ))}
            <div className="flex items-center justify-end gap-3 text-sm text-muted">
              {t("range", { first: Math.min(offset + 1, total), last: Math.min(offset + TOKEN_ROWS, total), total })}
              <Button size="sm" onClick={() => turn(-TOKEN_ROWS)} disabled={offset === 0}>
                {t("before")}
              </Button>
              <Button size="sm" onClick={() => turn(TOKEN_ROWS)} disabled={offset + TOKEN_ROWS >= total}>
                {t("after")}
              </Button>
            </div>
          </>
        )}
      </QueryStates>
    </div>
  );
}

function TokenRow({ row }: { row: Row }) {
  const t = useTranslations("job.trained");
  const format = useFormat();
  const learned = row.trained.filter(Boolean).length;
  return (
    <Card className="flex flex-col gap-2 p-4">
      <h2 className="flex flex-wrap items-center gap-x-3 text-xs text-muted">
        <span className="font-medium text-text">{t("row", { row: row.row })}</span>
        {t("tokens", { count: format.number(row.ids.length), learned: format.number(learned) })}
        {row.length > row.ids.length && <Badge tone="warn">{t("truncated")}</Badge>}
      </h2>
      <TokenText row={row} length={row.pieces.length} />
    </Card>
  );
}
