"use client";

import { useTranslations } from "use-intl";
import { Field, Input, Textarea } from "@/components/ui/field";
import { Segments } from "@/components/ui/segments";
import { Select } from "@/components/ui/select";
import { TargetsInput } from "@/features/new-job/targets-input";
import { textOf, type Option } from "@/features/new-job/values";
import type { MESSAGES } from "@/lib/messages";
import { useFormat, type Format } from "@/lib/use-format";

interface Props {
  option: Option;
  /** Undefined: nothing was typed, the default stands. */
  text: string | boolean | undefined;
  onChange: (text: string | boolean) => void;
  error?: string;
  /** What the plan has made of it. */
  resolved: unknown;
  model: string | null;
}

type Known = keyof (typeof MESSAGES)["ja"]["newJob"]["fields"];

/** One option of the recipe, whichever it is: its kind, bounds, default and help come from the API. */
export function OptionField(props: Props) {
  const t = useTranslations("newJob");
  const format = useFormat();
  const { option, error } = props;
  const name = option.name as Known;
  const help = (
    <>
      {option.help.replaceAll("`", "")} <code className="font-mono whitespace-nowrap">{name}</code>
    </>
  );
  return (
    <Field
      label={t.has(`fields.${name}`) ? t(`fields.${name}`) : name}
      help={help}
      range={rangeOf(option, format)}
      error={error}
      className={option.kind === "texts" ? "@md:col-span-2" : undefined}
    >
      <Control {...props} />
    </Field>
  );
}

function Control({ option, text, onChange, resolved, model }: Props) {
  const t = useTranslations("newJob");
  const format = useFormat();
  const standard = textOf(option, option.default);
  const shown = text ?? standard;
  if (typeof shown === "boolean") {
    const options = [
      { value: "off", label: t("off") },
      { value: "on", label: t("on") },
    ] as const;
    return <Segments label={option.name} value={shown ? "on" : "off"} onChange={(to) => onChange(to === "on")} options={[...options]} />;
  }
  if (option.kind === "choice") {
    return <Select value={shown} onChange={onChange} options={option.choices.map((value) => ({ value, label: value }))} />;
  }
  if (option.name === "target_modules") return <TargetsInput value={shown} onChange={onChange} model={model} />;
  if (option.kind === "texts") return <Textarea value={shown} rows={3} onChange={(event) => onChange(event.target.value)} />;
  const number = option.kind === "integer" || option.kind === "number";
  const rule = typeof resolved === "number" ? t("autoValue", { value: format.figure(resolved) }) : t("auto");
  return (
    <Input
      value={shown}
      inputMode={option.kind === "integer" ? "numeric" : number ? "decimal" : undefined}
      autoComplete="off"
      placeholder={option.nullable ? (number ? rule : "") : String(standard)}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

const MOST_SHOWN = 2 ** 53;

/** `1–512`, `> 0 – 1`, `≥ 1`. */
function rangeOf({ minimum, maximum, above_minimum }: Option, format: Format): string | undefined {
  if (minimum === null) return undefined;
  const least = format.number(minimum, { maximumSignificantDigits: 6 });
  if (maximum === null || maximum > MOST_SHOWN) return `${above_minimum ? ">" : "≥"} ${least}`;
  const most = format.number(maximum, { maximumSignificantDigits: 8 });
  return above_minimum ? `> ${least} – ${most}` : `${least}–${most}`;
}
