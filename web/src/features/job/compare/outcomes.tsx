"use client";

import { useSyncExternalStore } from "react";
import { useTranslations } from "use-intl";
import type { Known } from "@/features/job/compare/compared";
import { Swatch } from "@/features/job/plot";
import { DataTable } from "@/components/data-table";
import { Section } from "@/components/page";
import { Badge } from "@/components/ui/badge";
import { useFormat } from "@/lib/use-format";

/** What has come out of each so far. */
export function Outcomes({ all }: { all: Known[] }) {
  const t = useTranslations("compare.outcomes");
  const format = useFormat();
  useVersions(all);
  const rows = all.map(outcomeOf);
  const least = Math.min(...rows.map(({ best }) => best?.loss ?? Infinity));
  const figure = (value: number | undefined, show = format.figure) => (value === undefined ? "—" : show(value));
  return (
    <Section title={t("title")}>
      <DataTable
        caption={t("title")}
        rows={rows}
        rowKey={({ id }) => id}
        columns={[
          {
            key: "job",
            title: t("job"),
            cell: ({ job, line }) => (
              <span className="flex min-w-36 items-center gap-2">
                <Swatch line={line} />
                {job.name}
              </span>
            ),
          },
          {
            key: "best",
            title: t("best"),
            numeric: true,
            cell: ({ best }) => (
              <span className="inline-flex flex-wrap items-center justify-end gap-2">
                {best?.loss === least && all.length > 1 && <Badge tone="good">{t("least")}</Badge>}
                {figure(best?.loss)}
              </span>
            ),
          },
          { key: "bestStep", title: t("bestStep"), numeric: true, wideOnly: true, cell: ({ best }) => figure(best?.step, format.number) },
          { key: "loss", title: t("loss"), numeric: true, cell: ({ loss }) => figure(loss) },
          { key: "steps", title: t("steps"), numeric: true, wideOnly: true, cell: ({ steps }) => figure(steps, format.number) },
          { key: "tokens", title: t("tokens"), numeric: true, wideOnly: true, cell: ({ tokens }) => figure(tokens, format.number) },
          { key: "time", title: t("time"), numeric: true, cell: ({ seconds }) => figure(seconds, format.duration) },
        ]}
      />
    </Section>
  );
}

function outcomeOf({ id, job, line, curves }: Known) {
  const evaluations = curves.evaluations.toSorted((one, other) => one.loss - other.loss);
  const last = (name: "step" | "seconds" | "tokens") => (curves.empty ? undefined : curves.extent(name)[1]);
  const losses = curves.read("loss").y;
  return {
    ...{ id, job, line },
    best: evaluations.at(0),
    loss: losses.length > 0 ? losses[losses.length - 1] : undefined,
    steps: last("step"),
    seconds: last("seconds"),
    tokens: last("tokens"),
  };
}

/** Render anew when any of the curves has changed. */
function useVersions(all: Known[]): void {
  const subscribe = (changed: () => void) => {
    const forget = all.map(({ curves }) => curves.subscribe(changed));
    return () => forget.forEach((one) => one());
  };
  const versions = () => all.map(({ curves }) => curves.version).join();
  useSyncExternalStore(subscribe, versions, versions);
}
