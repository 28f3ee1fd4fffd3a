"use client";

import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useEffectEvent, useSyncExternalStore } from "react";
import type { Connection, Live, LiveEvent, Topic } from "@/lib/live";

export const LiveContext = createContext<Live | null>(null);

interface Hearing {
  onEvent: (event: LiveEvent) => void;
  /** Events were missed, or may have been: load what is shown anew. */
  onReset: () => void;
  /** The last event that is already in what was loaded (`progress.seq`). */
  after?: number;
  enabled?: boolean;
}

/** Hear what happens about a topic, each event once, as long as the component lives. */
export function useTopic(topic: Topic, { onEvent, onReset, after, enabled = true }: Hearing): void {
  const live = useContext(LiveContext);
  const tell = useEffectEvent(onEvent);
  const reset = useEffectEvent(onReset);
  const known = useEffectEvent(() => after);
  useEffect(() => {
    if (!live || !enabled) return undefined;
    return live.listen({ topic, known: known(), tell: (event) => tell(event), reset: () => reset() });
  }, [live, topic, enabled]);
}

const AT_MOST_EVERY_MS = 250;

/** Load queries anew whenever something happens about a topic; many events in a row load them once. */
export function useRefresh(topic: Topic, ...keys: QueryKey[]): void {
  const client = useQueryClient();
  const refresh = () => {
    for (const queryKey of keys) refreshSoon(() => void client.invalidateQueries({ queryKey }), JSON.stringify(queryKey));
  };
  useTopic(topic, { onEvent: refresh, onReset: refresh });
}

const due = new Map<string, ReturnType<typeof setTimeout>>();

function refreshSoon(refresh: () => void, key: string): void {
  if (due.has(key)) return;
  due.set(
    key,
    setTimeout(() => {
      due.delete(key);
      refresh();
    }, AT_MOST_EVERY_MS),
  );
}

/** Whether the server answers. */
export function useConnection(): Connection {
  const live = useContext(LiveContext);
  return useSyncExternalStore(
    (changed) => live?.watch(changed) ?? (() => undefined),
    () => live?.connection ?? "connecting",
    () => "connecting",
  );
}
