"use client";

import Link from "next/link";
import { useTranslations } from "use-intl";
import { Facts } from "@/components/facts";
import { Card, Section } from "@/components/page";
import { addressOf } from "@/features/datasets/address";
import { FirstRows } from "@/features/datasets/first-rows";
import { Recognised } from "@/features/datasets/recognised";
import { Problems } from "@/features/datasets/problems";
import type { DatasetDetails } from "@/features/datasets/queries";
import { useFormat } from "@/lib/use-format";

/** What was recognised, what is wrong, what looks odd. */
export function Overview({ dataset }: { dataset: DatasetDetails }) {
  const t = useTranslations("datasets.overview");
  const format = useFormat();
  const { report } = dataset;
  const counted = (counts: Record<string, number>) =>
    Object.entries(counts).map(([name, count]) => `${name} × ${format.number(count)}`).join(", ");
  const unused = counted(report.unused);
  return (
    <div className="flex flex-col gap-8">
      <Section title={t("recognised")}>
        <Card>
          <Recognised dataset={dataset} />
        </Card>
      </Section>
      {report.usable > 0 && (
        <Section
          title={t("firstRows")}
          actions={
            <Link href={addressOf(dataset.id, { tab: "rows" })} replace scroll={false} className="text-sm text-accent hover:underline">
              {t("allRows")}
            </Link>
          }
        >
          <FirstRows dataset={dataset} />
        </Section>
      )}
      <Section title={t("quality")} lead={report.warnings_count > 0 && t("qualityLead")}>
        <Problems dataset={dataset} report={report} />
      </Section>
      <Section title={t("details")}>
        <Facts
          facts={[
            ...(report.usable > 0 ? [{ name: t("shapes"), value: counted(report.shapes) }] : []),
            ...(unused ? [{ name: t("unused"), value: unused, note: t("unusedNote") }] : []),
            { name: t("created"), value: format.date(dataset.created_at) },
            { name: "SHA-256", value: <code className="font-mono text-[0.8125rem]">{dataset.sha256}</code>, note: t("hashNote") },
          ]}
        />
      </Section>
    </div>
  );
}
