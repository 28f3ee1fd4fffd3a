import { create } from "zustand";
import { createJSONStorage, persist } from "zustand/middleware";

/** What is typed and not sent yet, by conversation: it survives a reload of the tab. */
const useDrafts = create<Record<string, string>>()(
  persist(() => ({}), { name: "llmlora.drafts", storage: createJSONStorage(() => sessionStorage) }),
);

export function setDraft(key: string, text: string): void {
  useDrafts.setState({ [key]: text });
}

export function useDraft(key: string): [string, (text: string) => void] {
  const text = useDrafts((drafts) => drafts[key] ?? "");
  return [text, (changed) => setDraft(key, changed)];
}
