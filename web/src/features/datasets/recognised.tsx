"use client";

import { useTranslations } from "use-intl";
import { Badge } from "@/components/ui/badge";
import { PARTS } from "@/features/datasets/parts";
import type { DatasetDetails } from "@/features/datasets/queries";
import { useFormat } from "@/lib/use-format";

/** What was made of a file: how it is written, how many rows can be used, and which column was taken for what. */
export function Recognised({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.recognised");
  const format = useFormat();
  const { report } = dataset;
  const columns = PARTS.flatMap((part) => (report.columns[part] === undefined ? [] : [[part, report.columns[part]] as const]));
  return (
    <div className="flex flex-col gap-2 text-sm">
      <p className="flex flex-wrap gap-2">
        <Badge>{report.format.toUpperCase()}</Badge>
        {report.encoding && <Badge>{report.encoding === "cp932" ? "Shift_JIS (CP932)" : report.encoding.toUpperCase()}</Badge>}
        <Badge>{t("rows", { count: report.rows })}</Badge>
        {report.errors_count > 0 && <Badge tone="bad">{t("errors", { count: report.errors_count })}</Badge>}
        {report.warnings_count > 0 && <Badge tone="warn">{t("warnings", { count: report.warnings_count })}</Badge>}
        {report.errors_count + report.warnings_count === 0 && <Badge tone="good">{t("sound")}</Badge>}
      </p>
      {columns.length > 0 && (
        <ul className="flex flex-wrap gap-x-5 gap-y-1" aria-label={t("columns")}>
          {columns.map(([part, column]) => (
            <li key={part} className="min-w-0">
              <span className="text-muted">{t(`parts.${part}`)}: </span>
              <code className="font-mono text-[0.8125rem]">{column}</code>
            </li>
          ))}
        </ul>
      )}
      {report.usable === 0 && <p className="text-bad">{t("nothing")}</p>}
      {report.usable > 0 && report.usable < report.rows && (
        <p className="text-muted">{t("usable", { usable: format.number(report.usable), rows: format.number(report.rows) })}</p>
      )}
    </div>
  );
}
