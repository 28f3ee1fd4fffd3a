"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Curves } from "@/features/job/curves";
import { metricsQuery } from "@/features/job/queries";
import type { Look } from "@/features/job/look";
import { useTopic } from "@/lib/use-topic";

const SETTLED_MS = 250;

/** The curves of a job, for as long as the component lives. */
export function useCurves(id: string): Curves {
  const [curves] = useState(() => new Curves());
  useFeed(id, curves);
  return curves;
}

/**
 * Load curves, and prolong them by what happens. While they are loaded anew nobody listens: what follows their `seq` is
 * told afterwards. The component is keyed by what `curves` are for.
 */
export function useFeed(id: string, curves: Curves): void {
  const { data, isFetching, refetch } = useQuery(metricsQuery(id));
  useEffect(() => {
    if (data) curves.load(data);
  }, [curves, data]);
  useTopic(`job:${id}`, {
    after: data?.seq,
    enabled: data !== undefined && !isFetching,
    onEvent: (event) => curves.hear(event),
    onReset: () => void refetch(),
  });
}

/** A value of the curves, read at most four times a second. `read` gives the same for the same. */
export function useCurveValue<T>(curves: Curves, read: (curves: Curves) => T): T {
  return useSyncExternalStore(
    curves.subscribe,
    () => read(curves),
    () => read(curves),
  );
}

/** When the charts show a part of a long run, load that part, and half its width around it, as finely as it was told. */
export function useDetail(id: string, curves: Curves, look: Look): void {
  const client = useQueryClient();
  const { data } = useQuery(metricsQuery(id));
  useEffect(() => {
    if (!data) return undefined;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      const range = look.range;
      if (!range || !curves.thinned) return curves.refine();
      const around = (range[1] - range[0]) / 2;
      const stretch = { first: Math.max(0, Math.floor(range[0] - around)), last: Math.ceil(range[1] + around) };
      const metrics = await client.fetchQuery(metricsQuery(id, stretch)).catch(() => undefined); // the coarse one will do
      if (metrics && look.range === range) curves.refine({ ...stretch, metrics });
    };
    const changed = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => void load(), SETTLED_MS);
    };
    changed();
    const forget = look.watch(changed);
    return () => {
      clearTimeout(waiting);
      forget();
    };
  }, [client, id, curves, look, data]);
}
