"use client";

import { useTranslations } from "use-intl";
import type { Schemas } from "@/lib/api";
import { useFormat } from "@/lib/use-format";

/** What the file is made of: a bar a type, as long as its share of the bytes. */
export function TensorTypes({ types }: { types: Schemas["TensorCount"][] }) {
  const t = useTranslations("models.details");
  const format = useFormat();
  const all = types.reduce((sum, one) => sum + one.bytes, 0);
  const largest = Math.max(...types.map((one) => one.bytes));
  return (
    <ul className="grid grid-cols-[auto_1fr_auto] items-center gap-x-4 gap-y-3 text-sm">
      {types.map((one) => (
        <li key={one.type} className="contents">
          <span className="font-mono text-xs">{one.type}</span>
          <span aria-hidden className="h-4">
            <span
              className="block h-full min-w-0.5 rounded-r bg-(--chart-1)"
              style={{ width: `${(100 * one.bytes) / largest}%` }}
            />
          </span>
          <span className="text-right text-xs whitespace-nowrap text-muted">
            <span className="text-text">{format.percent(one.bytes / all, 1)}</span>
            <span className="max-sm:hidden">
              {" · "}
              {format.bytes(one.bytes)}
              {" · "}
              {t("tensors", { count: one.tensors })}
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}
