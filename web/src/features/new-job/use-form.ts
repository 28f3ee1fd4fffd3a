"use client";

import { shortName } from "@/features/jobs/materials";
import { BLANK, changeDraft, useDrafts } from "@/features/new-job/drafts";
import { textsOf, valuesOf, type Texts, type Values } from "@/features/new-job/values";
import type { Materials } from "@/features/new-job/use-materials";
import type { PlanRequest } from "@/features/new-job/use-plan";
import type { Schemas } from "@/lib/api";
import { useParam } from "@/lib/use-param";

export interface Form {
  origin: string;
  name: string;
  /** What the job is called while no name is given. */
  suggestion: string;
  model: string | null;
  datasetId: string | null;
  texts: Texts;
  /** The recipe without its model. */
  values: Values;
  /** What the plan is asked for; null as long as there is no model or no data. */
  request: PlanRequest | null;
  setName: (name: string) => void;
  setModel: (name: string) => void;
  setDataset: (id: string) => void;
  setText: (name: string, text: string | boolean) => void;
  setTexts: (texts: Texts) => void;
}

/** What stands in the form: what was typed, else what the other job had, else what suits a beginner. */
export function useForm({ form, datasets, models, from }: Materials): Form {
  const [modelGiven, setModel] = useParam("model");
  const [datasetGiven, setDataset] = useParam("dataset");
  const origin = from?.id ?? BLANK;
  const draft = useDrafts((drafts) => drafts[origin]) ?? {};
  const texts = draft.texts ?? textsOf(form.fields, from?.recipe ?? form.presets[0]?.recipe ?? {});
  const values = valuesOf(form.fields, texts);
  const model = modelGiven ?? (from ? String(from.recipe.model) : (models.models.find(({ trainable }) => trainable)?.name ?? null));
  const dataset = datasets.find(({ id }) => id === (datasetGiven ?? from?.dataset_id)) ?? (datasetGiven || from ? null : datasets[0]);
  const setTexts = (changed: Texts) => changeDraft(origin, { texts: changed });
  return {
    origin,
    name: draft.name ?? "",
    suggestion: from ? following(from.name) : [model && shortName(model), dataset?.name].filter(Boolean).join(" × ").slice(0, LONGEST_NAME),
    model,
    datasetId: dataset?.id ?? null,
    texts,
    values,
    request: model && dataset ? { dataset_id: dataset.id, recipe: { model, ...values } as Schemas["RecipeBody"] } : null,
    setName: (name) => changeDraft(origin, { name }),
    setModel,
    setDataset,
    setText: (name, text) => setTexts({ ...texts, [name]: text }),
    setTexts,
  };
}

const LONGEST_NAME = 200;

/** The next name in a row: “neko” → “neko 2” → “neko 3”. */
function following(name: string): string {
  const [, stem, number] = /^(.*?)(?: (\d+))?$/s.exec(name) ?? [];
  return `${stem?.slice(0, LONGEST_NAME - 10)} ${Number(number ?? 1) + 1}`;
}
