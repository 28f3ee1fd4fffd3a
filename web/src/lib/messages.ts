import sharedEn from "@/generated/text.en.json";
import sharedJa from "@/generated/text.ja.json";
import en from "@/messages/en.json";
import ja from "@/messages/ja.json";
import type { Locale } from "@/lib/preferences";

/** The interface's own words, and under `catalogue` those of the Python side: problems and warnings of rows. */
export const MESSAGES = {
  ja: { ...ja, catalogue: sharedJa },
  en: { ...en, catalogue: sharedEn },
};

declare module "use-intl" {
  interface AppConfig {
    Locale: Locale;
    Messages: (typeof MESSAGES)["ja"];
  }
}
