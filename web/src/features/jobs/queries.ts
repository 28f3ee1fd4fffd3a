import { queryOptions } from "@tanstack/react-query";
import { api, of, type Schemas } from "@/lib/api";

/** Training jobs, newest first. */
export const jobsQuery = queryOptions({ queryKey: ["jobs"], queryFn: () => of(api.GET("/api/training/jobs")) });

/** One of them, with the recipe it was started with. */
export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: ["job", id],
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}", { params: { path: { job_id: id } } })),
  });

export interface SparkPoint {
  x: number;
  y: number;
}

const SPARK_POINTS = 40;

/** The shape of a job's loss curve. That of a job which is over never changes, and is kept as long as the tab. */
export const sparkQuery = (id: string) =>
  queryOptions({
    queryKey: ["spark", id],
    queryFn: async (): Promise<SparkPoint[]> => {
      const params = { path: { job_id: id }, query: { points: SPARK_POINTS } };
      const { steps } = await of(api.GET("/api/training/jobs/{job_id}/metrics", { params }));
      return steps.map(({ step, loss }) => ({ x: step, y: loss }));
    },
    gcTime: Infinity,
  });

/** A curve and what came after it; when it is twice as long as was asked for, every second point goes. */
export function prolonged(curve: SparkPoint[], news: SparkPoint[]): SparkPoint[] {
  const all = [...curve, ...news.filter(({ x }) => x > (curve.at(-1)?.x ?? 0))];
  return all.length <= 2 * SPARK_POINTS ? all : all.filter((_, at) => at % 2 === 0 || at === all.length - 1);
}

type Job = Schemas["JobBody"];
export type Deed = "pause" | "resume" | "cancel" | "retry" | "remove";

const DEEDS: Record<Deed, (of: { params: { path: { job_id: string } } }) => Promise<unknown>> = {
  pause: (one) => api.POST("/api/training/jobs/{job_id}/pause", one),
  resume: (one) => api.POST("/api/training/jobs/{job_id}/resume", one),
  cancel: (one) => api.POST("/api/training/jobs/{job_id}/cancel", one),
  retry: (one) => api.POST("/api/training/jobs/{job_id}/retry", one),
  remove: (one) => api.DELETE("/api/training/jobs/{job_id}", one),
};

/** Steer a job, or delete it. */
export const steer = (id: string, deed: Deed) => DEEDS[deed]({ params: { path: { job_id: id } } });

/** What can be done with a job as it is. */
export function deedsFor({ state, desired }: Job["progress"]): Deed[] {
  if (state === "succeeded") return ["remove"];
  if (state === "failed" || state === "cancelled") return ["retry", "remove"];
  if (state === "paused") return ["resume", "cancel", "remove"];
  if (state === "queued" || state === "waiting_retry") return ["pause", "cancel", "remove"];
  if (desired === "cancel") return [];
  return desired === "pause" ? ["resume", "cancel"] : ["pause", "cancel"];
}
