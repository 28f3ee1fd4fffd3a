import { queryOptions } from "@tanstack/react-query";
import { api, of, type Schemas } from "@/lib/api";

export type Job = Schemas["JobBody"];
export type Metrics = Schemas["Metrics"];
export type State = Schemas["Progress"]["state"];

/** How many points of a curve are asked for: two for each pixel of a wide screen. */
const POINTS = 2000;

export const ACTIVE: readonly State[] = ["starting", "running"];
export const FINAL: readonly State[] = ["succeeded", "failed", "cancelled"];

const path = (id: string) => ({ params: { path: { job_id: id } } });
/** Everything about a job is kept under this key. */
const keyOf = (id: string, ...part: unknown[]) => ["job", id, ...part];

export const jobQuery = (id: string) =>
  queryOptions({ queryKey: keyOf(id), queryFn: () => of(api.GET("/api/training/jobs/{job_id}", path(id))) });

/** The whole run, or the stretch between two steps as finely as it was told. */
export const metricsQuery = (id: string, stretch?: { first: number; last: number }) =>
  queryOptions({
    queryKey: keyOf(id, "metrics", stretch ?? "whole"),
    queryFn: () =>
      of(
        api.GET("/api/training/jobs/{job_id}/metrics", {
          params: { path: { job_id: id }, query: { points: POINTS, ...stretch } },
        }),
      ),
    gcTime: stretch ? 0 : undefined,
  });

export const samplesQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "samples"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/samples", path(id))),
  });

export const checkpointsQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "checkpoints"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/checkpoints", path(id))),
  });

/** The log grows without an event: it is loaded when somebody looks. */
export const logQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "log"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/log", path(id))),
    staleTime: 0,
  });

export const jobRecipeQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "recipe"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/recipe", path(id))),
  });

export const TOKEN_ROWS = 5;

export const jobTokensQuery = (id: string, offset: number) =>
  queryOptions({
    queryKey: keyOf(id, "tokens", offset),
    queryFn: () =>
      of(
        api.GET("/api/training/jobs/{job_id}/tokens", {
          params: { path: { job_id: id }, query: { offset, limit: TOKEN_ROWS } },
        }),
      ),
  });

export const artefactsQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "artefacts"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/artefacts", path(id))),
  });

export const exportsQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, "exports"),
    queryFn: () => of(api.GET("/api/training/jobs/{job_id}/exports", path(id))),
  });

/** The data set of a job; it may have been deleted since. */
export const jobDatasetQuery = (id: string | null) =>
  queryOptions({
    queryKey: ["datasets", id],
    queryFn: () => of(api.GET("/api/datasets/{dataset_id}", { params: { path: { dataset_id: id ?? "" } } })),
    enabled: id !== null,
  });

/** The options of a recipe and what each does, in the reader's language. */
export const recipeFormQuery = queryOptions({
  queryKey: ["recipe-form"],
  queryFn: () => of(api.GET("/api/training/recipe")),
});
