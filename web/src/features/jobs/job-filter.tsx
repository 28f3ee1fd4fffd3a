"use client";

import { useTranslations } from "use-intl";
import type { JobState } from "@/components/job-state";
import { Segments } from "@/components/ui/segments";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

export const GROUPS = ["all", "active", "succeeded", "failed", "cancelled"] as const;
export type Group = (typeof GROUPS)[number];

/** Which part of the list a job is in: whatever is not over is under way. */
export function groupOf(state: JobState): Exclude<Group, "all"> {
  return state === "succeeded" || state === "failed" || state === "cancelled" ? state : "active";
}

/** All jobs, or those in some states, each with how many there are. */
export function JobFilter({ jobs, value, onChange }: { jobs: Schemas["JobBody"][]; value: Group; onChange: (group: Group) => void }) {
  const t = useTranslations("training.filter");
  const format = useFormat();
  const count = (group: Group) => jobs.filter(({ progress }) => group === "all" || groupOf(progress.state) === group).length;
  const options = GROUPS.map((group) => ({
    value: group,
    label: (
      <>
        {t(group)}
        <span className="text-xs text-muted">{format.number(count(group))}</span>
      </>
    ),
  }));
  return <Segments label={t("label")} value={value} onChange={onChange} options={options} />;
}
