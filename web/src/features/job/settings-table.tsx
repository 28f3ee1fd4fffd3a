"use client";

import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { differs, type Setting } from "@/features/job/settings";
import { cn } from "@/lib/cn";
import { useFormat } from "@/lib/use-format";

interface Props {
  caption: string;
  /** Of the recipes, in the order of the values. */
  titles: ReactNode[];
  settings: Setting[];
  /** Say what each setting does. */
  explained?: boolean;
}

/** Settings and their values in one recipe or several; what differs stands out. */
export function SettingsTable({ caption, titles, settings, explained }: Props) {
  const t = useTranslations("job.settings");
  return (
    <div className="overflow-x-auto rounded-2xl border border-line bg-surface" tabIndex={0} role="region" aria-label={caption}>
      <table className="w-full text-sm">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            <th scope="col" className="px-4 py-2 text-left font-medium">
              {t("setting")}
            </th>
            {titles.map((title, at) => (
              <th key={at} scope="col" className="min-w-28 px-4 py-2 text-left font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {settings.map((setting) => (
            <tr key={setting.name} className="border-b border-line align-top last:border-0">
              <th scope="row" className="px-4 py-2 text-left font-normal">
                <span className="font-mono text-[0.8125rem] whitespace-nowrap">{setting.name}</span>
                {explained && <span className="block max-w-md text-xs text-muted max-md:hidden">{setting.help}</span>}
              </th>
              {setting.values.map((value, at) => (
                <td key={at} className={cn("px-4 py-2", differs(setting) && at === 0 && "font-medium")}>
                  <Value value={value} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Value({ value }: { value: unknown }) {
  const t = useTranslations("job.settings");
  const format = useFormat();
  if (value === null || value === undefined) return <span className="text-muted">{t("rule")}</span>;
  if (typeof value === "boolean") return value ? t("yes") : t("no");
  if (typeof value === "number") return format.number(value, { maximumSignificantDigits: 12 });
  if (!Array.isArray(value)) return String(value);
  if (value.length === 0) return <span className="text-muted">{t("none")}</span>;
  return <span className="whitespace-pre-line">{value.join("\n")}</span>;
}
