"use client";

import { useTranslations } from "use-intl";
import type { Curves } from "@/features/job/curves";
import { MEASURES, type Measure } from "@/features/job/points";
import { makeAxes } from "@/features/job/charts";
import { useCurveValue } from "@/features/job/use-curves";
import { DataTable } from "@/components/data-table";
import { useFormat } from "@/lib/use-format";

const MOST_ROWS = 100;

interface Row extends Record<Measure, number> {
  step: number;
  validation: number | undefined;
}

/** The curves as numbers: every step of a short run, of a long one some evenly spaced, and every evaluation. */
export function ChartTable({ curves }: { curves: Curves }) {
  const t = useTranslations("job.charts");
  const format = useFormat();
  const { formatOf } = makeAxes(format);
  useCurveValue(curves, ({ version }) => version);
  const measures = MEASURES.map((measure) => ({
    key: measure,
    title: t(measure),
    cell: (row: Row) => formatOf[measure](row[measure]),
    numeric: true,
    wideOnly: measure !== "loss" && measure !== "learning_rate",
  }));
  return (
    <DataTable
      caption={t("asTable")}
      rows={rowsOf(curves)}
      rowKey={(row) => String(row.step)}
      columns={[
        { key: "step", title: t("step"), cell: (row) => format.number(row.step) },
        ...measures,
        {
          key: "validation",
          title: t("validation"),
          cell: (row) => (row.validation === undefined ? "" : format.figure(row.validation)),
          numeric: true,
        },
      ]}
    />
  );
}

function rowsOf(curves: Curves): Row[] {
  const steps = curves.read("loss").x;
  const columns = MEASURES.map((measure) => [measure, curves.read(measure).y] as const);
  const evaluated = new Map(curves.evaluations.map(({ step, loss }) => [step, loss]));
  const every = Math.ceil(steps.length / MOST_ROWS);
  return Array.from(steps, (step, at) => ({ step, at }))
    .filter(({ step, at }) => at % every === 0 || at === steps.length - 1 || evaluated.has(step))
    .map(({ step, at }) => {
      const values = Object.fromEntries(columns.map(([measure, column]) => [measure, column[at]])) as Record<Measure, number>;
      return { ...values, step, validation: evaluated.get(step) };
    });
}
