import type { Schemas } from "@/lib/api";

export type Recipe = Record<string, unknown>;

/** A setting and its value in each recipe. */
export interface Setting {
  name: string;
  help: string;
  values: unknown[];
}

/** The settings of recipes side by side, in the order of the form. */
export function settingsOf(fields: Schemas["FieldBody"][], recipes: readonly Recipe[]): Setting[] {
  return fields.map(({ name, help }) => ({ name, help, values: recipes.map((recipe) => recipe[name]) }));
}

export function differs({ values }: Setting): boolean {
  return values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0]));
}

/** The settings as they are when nobody says anything: null where a rule decides. */
export function defaultsOf(fields: Schemas["FieldBody"][]): Recipe {
  return Object.fromEntries(fields.map(({ name, default: value }) => [name, value]));
}
