"use client";

import { useTranslations } from "use-intl";
import { DataTable, type Column } from "@/components/data-table";
import { RowLink } from "@/components/row-link";
import { Badge } from "@/components/ui/badge";
import { addressOf } from "@/features/datasets/address";
import type { Dataset } from "@/features/datasets/queries";
import { useFormat } from "@/lib/use-format";

export function DatasetTable({ datasets }: { datasets: Dataset[] }) {
  const t = useTranslations("datasets.list");
  const format = useFormat();
  const columns: Column<Dataset>[] = [
    {
      key: "name",
      title: t("name"),
      cell: (one) => (
        <RowLink href={addressOf(one.id)} className="line-clamp-2 min-w-24">
          {one.name}
        </RowLink>
      ),
    },
    { key: "rows", title: t("rows"), numeric: true, cell: (one) => format.number(one.rows) },
    { key: "state", title: t("state"), cell: (one) => <State dataset={one} /> },
    { key: "format", title: t("format"), wideOnly: true, cell: (one) => one.format.toUpperCase() },
    { key: "size", title: t("size"), numeric: true, wideOnly: true, cell: (one) => format.bytes(one.bytes) },
    { key: "version", title: t("version"), numeric: true, wideOnly: true, cell: (one) => format.number(one.version) },
    {
      key: "changed",
      title: t("changed"),
      wideOnly: true,
      cell: (one) => (
        <time dateTime={new Date(one.updated_at * 1000).toISOString()} title={format.date(one.updated_at)} className="whitespace-nowrap text-muted">
          {format.ago(one.updated_at)}
        </time>
      ),
    },
  ];
  return <DataTable caption={t("caption")} columns={columns} rows={datasets} rowKey={(one) => one.id} />;
}

function State({ dataset }: { dataset: Dataset }) {
  const t = useTranslations("datasets.list");
  if (dataset.problems === 0) return <Badge tone="good">{t("sound")}</Badge>;
  if (dataset.problems === dataset.rows) return <Badge tone="bad">{t("unusable")}</Badge>;
  return <Badge tone="warn">{t("errors", { count: dataset.problems })}</Badge>;
}
