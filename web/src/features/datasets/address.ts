import type { Place } from "@/features/datasets/queries";

export type Tab = "overview" | "rows" | "tokens" | "columns";
export const TABS: Tab[] = ["overview", "rows", "tokens", "columns"];

/** What of a data set is looked at; with which model and up to which length, where tokens are. */
export interface View extends Place {
  tab?: Tab;
  model?: string;
  length?: number;
}

/** Where one looks at it. */
export function addressOf(id: string, view: View = {}): string {
  const asked = new URLSearchParams({ id });
  for (const [name, value] of Object.entries(view)) if (value !== undefined) asked.set(name, String(value));
  return `/datasets/?${asked}`;
}

/** Where one trains with it. */
export function trainingWith(id: string): string {
  return `/training/new/?dataset=${id}`;
}
