"use client";

import { useMemo } from "react";
import { useLocale, type Locale } from "@/lib/preferences";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** Numbers, sizes, times and dates as the reader writes them. Times in the API are seconds. */
export function makeFormat(locale: Locale) {
  const number = (value: number, options?: Intl.NumberFormatOptions) =>
    new Intl.NumberFormat(locale, options).format(value);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  return {
    number,
    /** 4 significant digits, as losses and rates need them. */
    figure: (value: number) => number(value, { maximumSignificantDigits: 4 }),
    /** 135M: a size one compares by. */
    compact: (value: number) => number(value, { notation: "compact", maximumFractionDigits: 1 }),
    percent: (share: number, digits = 0) => number(share, { style: "percent", maximumFractionDigits: digits }),
    bytes(value: number): string {
      const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), UNITS.length - 1);
      const maximumFractionDigits = power < 2 || value / 1000 ** power >= 100 ? 0 : 1;
      const unitDisplay = power === 0 ? "long" : "short"; // short, it is “638 byte”
      return number(value / 1000 ** power, { style: "unit", unit: UNITS[power], unitDisplay, maximumFractionDigits });
    },
    /** The two largest parts: 1 h 20 min, 45 s. */
    duration(seconds: number): string {
      const whole = Math.max(0, Math.round(seconds));
      const parts = [
        [Math.floor(whole / 86400), "day"],
        [Math.floor(whole / 3600) % 24, "hour"],
        [Math.floor(whole / 60) % 60, "minute"],
        [whole % 60, "second"],
      ] as const;
      const first = Math.max(0, parts.findIndex(([count], at) => count > 0 || at === parts.length - 1));
      const shown = parts.slice(first, first + 2).filter(([count], at) => at === 0 || count > 0);
      return shown.map(([count, unit]) => number(count, { style: "unit", unit })).join(" ");
    },
    date: (seconds: number) => dateTime.format(seconds * 1000),
    /** 3 minutes ago. */
    ago(seconds: number, now = Date.now() / 1000): string {
      const past = Math.max(0, now - seconds);
      if (past < 60) return relative.format(0, "second");
      if (past < 3600) return relative.format(-Math.floor(past / 60), "minute");
      if (past < 86400) return relative.format(-Math.floor(past / 3600), "hour");
      return relative.format(-Math.floor(past / 86400), "day");
    },
  };
}

export type Format = ReturnType<typeof makeFormat>;

export function useFormat(): Format {
  const locale = useLocale();
  return useMemo(() => makeFormat(locale), [locale]);
}
