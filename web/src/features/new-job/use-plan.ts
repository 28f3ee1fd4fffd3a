"use client";

import { keepPreviousData, queryOptions, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, of, type Schemas } from "@/lib/api";

export type PlanRequest = Schemas["PlanRequest"];
export type Plan = Schemas["PlanBody"];

const PAUSE_MS = 400;

const planQuery = (body: PlanRequest | null) =>
  queryOptions({
    queryKey: ["plan", body],
    queryFn: ({ signal }) => of(api.POST("/api/training/plan", { body: body as PlanRequest, signal })),
    enabled: body !== null,
    placeholderData: keepPreviousData,
  });

/** The plan of what is asked, a moment after the last change; one is worked out at a time. `stale`: a newer one is on its way. */
export function usePlan(body: PlanRequest | null): { query: UseQueryResult<Plan>; stale: boolean } {
  const [asked, ask] = useState(body);
  const query = useQuery(planQuery(asked));
  const changed = JSON.stringify(body) !== JSON.stringify(asked);
  const wanted = JSON.stringify(body);
  useEffect(() => {
    if (!changed || query.isFetching) return undefined;
    const timer = setTimeout(() => ask(JSON.parse(wanted) as PlanRequest | null), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted, changed, query.isFetching]);
  return { query, stale: changed || query.isFetching };
}
