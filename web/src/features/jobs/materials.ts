import { queryOptions } from "@tanstack/react-query";
import { api, of } from "@/lib/api";

/** What a job is made of: data sets, newest first. */
export const datasetsQuery = queryOptions({ queryKey: ["datasets"], queryFn: () => of(api.GET("/api/datasets")) });

/** The bases there are. Ollama says nothing when it gets another one, hence another look at each return. */
export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: () => of(api.GET("/api/models")),
  refetchOnWindowFocus: "always",
});

/** A base from inside. */
export const modelQuery = (name: string) =>
  queryOptions({
    queryKey: ["models", name],
    queryFn: () => of(api.GET("/api/models/{name}", { params: { path: { name } } })),
  });

/** The options of a recipe, and the presets. */
export const recipeFormQuery = queryOptions({ queryKey: ["recipe-form"], queryFn: () => of(api.GET("/api/training/recipe")) });

/** `sample:smollm2-135m` → `smollm2-135m`, `gguf:/models/x.gguf` → `x.gguf`. */
export function shortName(model: string): string {
  return model.slice(model.indexOf(":") + 1).split("/").at(-1) ?? model;
}
