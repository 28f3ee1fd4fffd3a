"use client";

import { useQuery } from "@tanstack/react-query";
import { datasetsQuery, modelsQuery, recipeFormQuery } from "@/features/jobs/materials";
import { jobQuery } from "@/features/jobs/queries";
import type { Schemas } from "@/lib/api";
import { useParam } from "@/lib/use-param";

/** What the form is made of: loaded once before it is shown. */
export interface Materials {
  form: Schemas["RecipeForm"];
  datasets: Schemas["DatasetBody"][];
  models: Schemas["ModelsBody"];
  /** The job whose settings it begins with. */
  from: Schemas["JobBody"] | null;
}

export function useMaterials(): { data?: Materials; error: unknown; retry: () => void } {
  const [id] = useParam("from");
  const form = useQuery(recipeFormQuery);
  const datasets = useQuery(datasetsQuery);
  const models = useQuery(modelsQuery);
  const from = useQuery({ ...jobQuery(id ?? ""), enabled: id !== null });
  const all = [form, datasets, models, ...(id === null ? [] : [from])];
  const retry = () => all.filter(({ error }) => error).forEach((one) => void one.refetch());
  const error = all.find((one) => one.data === undefined && one.error)?.error ?? null;
  if (!form.data || !datasets.data || !models.data || (id !== null && !from.data)) return { error, retry };
  return { data: { form: form.data, datasets: datasets.data, models: models.data, from: from.data ?? null }, error, retry };
}
