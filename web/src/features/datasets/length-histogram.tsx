"use client";

import { useTranslations } from "use-intl";
import { HATCHED } from "@/features/datasets/trained-share";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

/** How many rows are how long, in tokens, and where they are cut. */
export function LengthHistogram({ bins, maxLength }: { bins: Schemas["BinBody"][]; maxLength: number }) {
  const t = useTranslations("datasets.histogram");
  const format = useFormat();
  const highest = Math.max(...bins.map(({ rows }) => rows));
  const least = bins[0]?.least ?? 0;
  const longest = bins.at(-1)?.most ?? 0;
  const width = (bins[0]?.most ?? 0) - least + 1;
  const cut = maxLength < longest ? (100 * (maxLength - least + 1)) / (width * bins.length) : null;
  const range = ({ least: from, most: to }: Schemas["BinBody"]) =>
    from === to ? format.number(from) : `${format.number(from)}–${format.number(to)}`;
  return (
    <figure className="flex flex-col gap-2">
      <figcaption className="text-sm font-medium">{t("title")}</figcaption>
      <div className="relative pt-6">
        <ol className="flex h-36 items-end gap-1 border-b border-line-strong" aria-label={t("title")}>
          {bins.map((bin) => (
            <li key={bin.least} className="flex h-full min-w-0 flex-1 flex-col items-center justify-end">
              <span className="sr-only">{t("bin", { range: range(bin), count: bin.rows })}</span>
              <span aria-hidden className="text-2xs text-muted">
                {bin.rows > 0 && format.number(bin.rows)}
              </span>
              <span
                aria-hidden
                className={cn("w-full max-w-24 rounded-t-sm", bin.least > maxLength ? "border border-b-0 border-line-strong" : "bg-(--chart-1)")}
                style={{
                  height: `${(80 * bin.rows) / highest}%`,
                  minHeight: bin.rows > 0 ? 2 : 0,
                  backgroundImage: bin.least > maxLength ? HATCHED : undefined,
                }}
              />
            </li>
          ))}
        </ol>
        {cut !== null && (
          <div className="absolute inset-y-0 border-l-2 border-dashed border-bad" style={{ left: `${Math.max(0, cut)}%` }}>
            <span className={cn("absolute top-0 px-1.5 text-2xs whitespace-nowrap text-bad", cut > 50 && "right-0")}>
              {t("cutAt", { length: format.number(maxLength) })}
            </span>
          </div>
        )}
      </div>
      <ol aria-hidden className="flex gap-1 text-2xs text-muted">
        {bins.map((bin, at) => (
          <li key={bin.least} className={cn("min-w-0 flex-1 text-center leading-tight", at % 2 === 1 && "max-sm:invisible")}>
            {range(bin)}
          </li>
        ))}
      </ol>
      <p className="text-xs text-muted">
        {cut === null ? t("allFit", { length: format.number(maxLength), longest: format.number(longest) }) : t("cutText")}
      </p>
    </figure>
  );
}
