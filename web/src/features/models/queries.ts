import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";
import { pieces } from "@/lib/pieces";

/** Every base there is. Ollama's change without an event, hence another look at each return. */
export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: () => of(api.GET("/api/models")),
  refetchOnWindowFocus: "always",
});

/** One base from inside. */
export const modelQuery = (name: string) =>
  queryOptions({ queryKey: ["models", name], queryFn: () => of(api.GET("/api/models/{name}", { params: { path: { name } } })) });

/** Downloads under way, and those that failed. */
export const pullsQuery = queryOptions({ queryKey: ["pulls"], queryFn: () => of(api.GET("/api/models/pull")) });

/** Have Ollama download a model. The first line says that the job is there; the live stream tells the rest. */
export async function pull(name: string): Promise<void> {
  const lines = await of(api.POST("/api/models/pull/{name}", { params: { path: { name } }, parseAs: "stream" }));
  if (lines) await pieces(lines, "\n").next();
}

/** End a download, or forget that it failed. */
export const endPull = (name: string) => api.DELETE("/api/models/pull/{name}", { params: { path: { name } } });
