"use client";

import { ChevronRightIcon, CircleAlertIcon, CircleCheckIcon, TriangleAlertIcon } from "lucide-react";
import Link from "next/link";
import { useTranslations } from "use-intl";
import { addressOf, type View } from "@/features/datasets/address";
import type { Dataset } from "@/features/datasets/queries";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

type Report = Schemas["ReportBody"];
type Problem = Schemas["RowProblemBody"];

const SHOWN = 24; // rows of a warning; the rest unfolds

interface Props {
  dataset: Dataset;
  report: Report;
  /** What to look at a row with. */
  view?: View;
}

/** Every error by its row; warnings of one kind together, with the rows they concern. */
export function Problems({ dataset, report, view }: Props) {
  const t = useTranslations("datasets.problems");
  if (report.errors_count + report.warnings_count === 0) {
    return (
      <p className="flex items-center gap-3 rounded-2xl bg-good-soft p-4 text-sm">
        <CircleCheckIcon aria-hidden className="size-4 shrink-0 text-good" />
        {t("none")}
      </p>
    );
  }
  return (
    <div className="flex flex-col gap-3">
      {report.errors_count > 0 && <Errors report={report} />}
      {Object.entries(report.warnings_by_code).map(([code, count]) => (
        <Warning
          key={code}
          id={dataset.id}
          code={code as Warned}
          count={count}
          found={report.warnings.filter((one) => one.code === code)}
          view={view}
        />
      ))}
    </div>
  );
}

function Errors({ report }: { report: Report }) {
  const t = useTranslations("datasets.problems");
  const format = useFormat();
  const unlisted = report.errors_count - report.errors.length;
  return (
    <section className="rounded-2xl border border-line bg-surface text-sm">
      <h3 className="flex items-center gap-3 px-5 pt-4 font-medium">
        <CircleAlertIcon aria-hidden className="size-4 shrink-0 text-bad" />
        {t("errors", { count: report.errors_count })}
      </h3>
      <p className="px-5 pt-1 text-muted">{t("errorsText")}</p>
      <ul tabIndex={0} aria-label={t("errors", { count: report.errors_count })} className="mt-3 max-h-80 divide-y divide-line overflow-y-auto border-t border-line">
        {report.errors.map((one, at) => (
          <li key={at} className="flex gap-x-4 px-5 py-2 max-sm:flex-col">
            <span className="w-20 shrink-0 text-muted">{t("row", { row: format.number(one.row) })}</span>
            <Words problem={one} />
          </li>
        ))}
        {unlisted > 0 && <li className="px-5 py-2 text-muted">{t("unlisted", { count: unlisted })}</li>}
      </ul>
    </section>
  );
}

function Words({ problem }: { problem: Problem }) {
  const t = useTranslations("catalogue.problems");
  const { detail } = problem;
  return <span className="min-w-0">{t(problem.code as Parameters<typeof t>[0], { detail })}</span>;
}

type Warned = keyof (typeof import("@/generated/text.ja.json"))["warnings"];

function Warning({ id, code, count, found, view }: { id: string; code: Warned; count: number; found: Problem[]; view?: View }) {
  const words = useTranslations("catalogue.warnings");
  const format = useFormat();
  const t = useTranslations("datasets.problems");
  const rows = [...new Map(found.map((one) => [one.row, one])).values()];
  return (
    <section className="rounded-2xl border border-line bg-surface p-4 text-sm">
      <h3 className="flex items-start gap-3 font-medium">
        <TriangleAlertIcon aria-hidden className="mt-1 size-4 shrink-0 text-warn" />
        {words(code, { count: format.number(count) })}
      </h3>
      <div className="pt-2 pl-7">
        <RowLinks id={id} rows={rows.slice(0, SHOWN)} view={view} />
        {rows.length > SHOWN && (
          <details className="group pt-1.5">
            <summary className="flex min-h-6 w-fit items-center gap-1 text-muted hover:text-text">
              <ChevronRightIcon aria-hidden className="size-4 transition-transform group-open:rotate-90" />
              {t("moreRows", { count: rows.length - SHOWN })}
            </summary>
            <RowLinks id={id} rows={rows.slice(SHOWN)} view={view} />
          </details>
        )}
        {count > found.length && <p className="pt-1.5 text-muted">{t("unlisted", { count: count - found.length })}</p>}
      </div>
    </section>
  );
}

function RowLinks({ id, rows, view }: { id: string; rows: Problem[]; view?: View }) {
  const t = useTranslations("datasets.problems");
  const format = useFormat();
  return (
    <ul className="flex flex-wrap gap-1.5" aria-label={t("rows")}>
      {rows.map(({ row, detail }) => (
        <li key={row}>
          <Link
            href={addressOf(id, { tab: "rows", ...view, row })}
            title={detail || undefined}
            className="inline-flex h-6 min-w-8 items-center justify-center rounded-md bg-sunken px-2 text-xs hover:bg-accent-soft hover:text-accent"
          >
            <span className="sr-only">{t("row", { row: "" })}</span>
            {format.number(row)}
          </Link>
        </li>
      ))}
    </ul>
  );
}
