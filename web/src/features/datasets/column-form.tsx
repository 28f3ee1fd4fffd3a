"use client";

import { useState } from "react";
import { useTranslations } from "use-intl";
import { ErrorNote } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/select";
import { PARTS, type Mapping, type Part } from "@/features/datasets/parts";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

const SHOWN_ROWS = 3;

interface Props {
  columns: Schemas["ColumnsBody"];
  /** What they hold now. */
  mapping: Mapping;
  /** The deed, as a verb. */
  action: string;
  onSave: (mapping: Mapping) => void;
  busy?: boolean;
  error: unknown;
}

/** Every column with its first texts, and the part of a conversation that it holds. */
export default function ColumnForm({ columns, mapping, action, onSave, busy, error }: Props) {
  const t = useTranslations("datasets.columns");
  const [chosen, setChosen] = useState(mapping);
  const complete = Boolean(chosen.messages ?? chosen.text ?? (chosen.instruction && chosen.output));
  const choose = (column: string, part: Part | "") => {
    const others = Object.entries(chosen).filter(([other, name]) => name !== column && other !== part);
    setChosen({ ...Object.fromEntries(others), ...(part && { [part]: column }) });
  };
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        onSave(chosen);
      }}
    >
      <p className="text-sm text-muted">{t("which")}</p>
      <ul className="divide-y divide-line rounded-2xl border border-line bg-surface">
        {columns.names.map((column, at) => (
          <ColumnRow
            key={column}
            column={column}
            part={PARTS.find((part) => chosen[part] === column) ?? ""}
            onChoose={(part) => choose(column, part)}
            texts={columns.rows.slice(0, SHOWN_ROWS).map(({ row, cells }) => ({ row, text: cells[at] ?? "" }))}
          />
        ))}
      </ul>
      {Boolean(error) && <ErrorNote error={error} />}
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <Button type="submit" variant="primary" disabled={!complete} busy={busy}>
          {action}
        </Button>
        {!complete && <p className="text-sm text-muted">{t("incomplete")}</p>}
      </div>
    </form>
  );
}

interface RowProps {
  column: string;
  part: Part | "";
  onChoose: (part: Part | "") => void;
  texts: { row: number; text: string }[];
}

function ColumnRow({ column, part, onChoose, texts }: RowProps) {
  const parts = useTranslations("datasets.recognised.parts");
  const t = useTranslations("datasets.columns");
  const format = useFormat();
  const options = [{ value: "" as const, label: t("unused") }, ...PARTS.map((value) => ({ value, label: parts(value) }))];
  return (
    <li className="grid gap-x-5 gap-y-2 px-4 py-3 md:grid-cols-[minmax(0,11rem)_13rem_minmax(0,1fr)]">
      <p className="font-mono text-[0.8125rem] md:pt-1.5">{column}</p>
      <Select<Part | ""> aria-label={t("holds", { column })} value={part} onChange={onChoose} options={options} />
      <ul className="flex flex-col gap-1 text-xs text-muted md:pt-1">
        {texts.map(({ row, text }) => (
          <li key={row} className="line-clamp-2 whitespace-pre-wrap">
            <span className="sr-only">{t("row", { row: format.number(row) })}</span>
            {text || t("nothing")}
          </li>
        ))}
      </ul>
    </li>
  );
}
