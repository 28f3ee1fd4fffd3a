import type { Schemas } from "@/lib/api";

export type Option = Schemas["FieldBody"];
/** What stands in the fields: text as it is typed; an entry a line, or, of names, with commas. */
export type Texts = Record<string, string | boolean>;
export type Values = Record<string, unknown>;

/** Lists whose entries hold no comma are written in one line. */
const IN_ONE_LINE = ["target_modules"];

/** How a value is written in its field. */
export function textOf({ kind, name }: Option, value: unknown): string | boolean {
  if (kind === "boolean") return value === true;
  if (value === null || value === undefined) return "";
  if (kind === "texts") return (value as string[]).join(IN_ONE_LINE.includes(name) ? ", " : "\n");
  return String(value);
}

/** What a field says. What is no number is sent as it is: the API says what is wrong with it. */
export function valueOf({ kind, name }: Option, text: string | boolean): unknown {
  if (typeof text === "boolean") return text;
  const trimmed = text.trim();
  if (kind === "texts") return trimmed.split(IN_ONE_LINE.includes(name) ? /[\s,、]+/ : /\n+/).filter(Boolean);
  if (kind !== "integer" && kind !== "number") return trimmed;
  const plain = trimmed.normalize("NFKC"); // digits typed by an input method may be wide
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : plain;
}

/** The texts of those values that are not the defaults. */
export function textsOf(options: Option[], values: Values): Texts {
  const told = options.filter(({ name }) => name !== "model" && name in values);
  return Object.fromEntries(
    told.map((option) => [option.name, textOf(option, values[option.name])]).filter(([name, text]) => text !== defaultText(options, name)),
  );
}

/** The recipe that the fields ask for: what is left empty, or at its default, is not in it. */
export function valuesOf(options: Option[], texts: Texts): Values {
  const written = options.filter((option) => {
    const text = texts[option.name];
    return text !== undefined && text !== "" && text !== textOf(option, option.default);
  });
  return Object.fromEntries(written.map((option) => [option.name, valueOf(option, texts[option.name] ?? "")]));
}

function defaultText(options: Option[], name: unknown): string | boolean | undefined {
  const option = options.find((one) => one.name === name);
  return option && textOf(option, option.default);
}

const GROUPED = {
  lora: ["rank", "alpha", "dropout", "rslora", "target_modules"],
  training: ["epochs", "steps", "learning_rate", "batch_size", "gradient_accumulation", "max_length"],
};
export type Group = keyof typeof GROUPED | "advanced";

/** The options of a group in their order; what nobody has put anywhere is advanced. */
export function optionsOf(options: Option[], group: Group): Option[] {
  const placed = group === "advanced" ? [] : GROUPED[group];
  if (group !== "advanced") return placed.flatMap((name) => options.filter((one) => one.name === name));
  const elsewhere = ["model", ...Object.values(GROUPED).flat()];
  return options.filter(({ name }) => !elsewhere.includes(name));
}
