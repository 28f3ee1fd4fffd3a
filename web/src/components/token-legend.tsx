"use client";

import { useTranslations } from "use-intl";
import { tokenLook } from "@/components/token-look";
import { PART } from "@/lib/visible";

/** How to read it: lines and boxes say it, and not the colours alone. */
export function TokenLegend() {
  const t = useTranslations("tokenLegend");
  const signs = [
    ["␣", t("space")],
    ["↵", t("newLine")],
    ["⇥", t("tab")],
    ["□", t("fullWidthSpace")],
    [PART, t("part")],
  ];
  return (
    <div className="flex flex-col gap-2 text-xs" aria-label={t("title")} role="group">
      <ul className="flex flex-wrap gap-x-5 gap-y-2">
        <li>
          <span className={tokenLook({ kind: "trained" })}>{t("sample")}</span> {t("trained")}
        </li>
        <li>
          <span className={tokenLook({ kind: "masked" })}>{t("sample")}</span> {t("masked")}
        </li>
        <li>
          <span className={tokenLook({ kind: "masked", special: true })}>{t("sample")}</span> {t("special")}
        </li>
        <li>
          <span className={tokenLook({ kind: "cut" })}>{t("sample")}</span> {t("cut")}
        </li>
      </ul>
      <ul className="flex flex-wrap gap-x-4 gap-y-1 text-muted">
        {signs.map(([sign, meaning]) => (
          <li key={sign}>
            {sign} {meaning}
          </li>
        ))}
      </ul>
    </div>
  );
}
