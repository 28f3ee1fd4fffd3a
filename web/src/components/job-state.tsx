"use client";

import { useTranslations } from "use-intl";
import { Badge, type Tone } from "@/components/ui/badge";
import type { Schemas } from "@/lib/api";

export type JobState = Schemas["Progress"]["state"];

const TONES: Record<JobState, Tone> = {
  queued: "neutral",
  starting: "accent",
  running: "accent",
  waiting_retry: "warn",
  paused: "warn",
  succeeded: "good",
  failed: "bad",
  cancelled: "neutral",
};

/** The state of a job in a word. */
export function JobStateBadge({ state }: { state: JobState }) {
  const t = useTranslations("jobState");
  return <Badge tone={TONES[state]}>{t(state)}</Badge>;
}
