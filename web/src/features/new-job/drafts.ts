import { create } from "zustand";
import { createJSONStorage, persist } from "zustand/middleware";
import type { Texts } from "@/features/new-job/values";

/** An unfinished form. The data set and the model stand in the address. */
export interface Draft {
  name?: string;
  texts?: Texts;
  /** What was sent last, and the key it went with: sent again, it makes no second job. */
  sent?: { body: string; key: string };
}

/** Unfinished forms of this tab, by the job they began from; they survive a reload. */
export const useDrafts = create<Record<string, Draft>>()(
  persist((): Record<string, Draft> => ({}), { name: "llmlora.new-job", storage: createJSONStorage(() => sessionStorage) }),
);

export const BLANK = "blank";

export function changeDraft(origin: string, change: Draft): void {
  useDrafts.setState((drafts) => ({ [origin]: { ...drafts[origin], ...change } }));
}

export function dropDraft(origin: string): void {
  useDrafts.setState({ [origin]: {} });
}

/** The key that goes with a body: the same as long as nothing is changed. */
export function keyFor(origin: string, body: string): string {
  const { sent } = useDrafts.getState()[origin] ?? {};
  if (sent?.body === body) return sent.key;
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  changeDraft(origin, { sent: { body, key } });
  return key;
}
