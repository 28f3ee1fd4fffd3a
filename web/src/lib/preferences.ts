import { useSyncExternalStore } from "react";
import { create } from "zustand";
import { persist } from "zustand/middleware";
import { KEY } from "@/lib/before-paint";

export const LOCALES = ["ja", "en"] as const;
export type Locale = (typeof LOCALES)[number];
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

interface Preferences {
  /** Chosen by the reader; null follows the browser. */
  locale: Locale | null;
  theme: Theme;
}

export const usePreferences = create<Preferences>()(
  persist((): Preferences => ({ locale: null, theme: "system" }), { name: KEY }),
);

if (typeof window !== "undefined") {
  window.addEventListener("storage", (event) => {
    if (event.key === KEY) void usePreferences.persist.rehydrate(); // chosen in another tab
  });
}

/** The language to speak now, outside of React. */
export function currentLocale(): Locale {
  return usePreferences.getState().locale ?? browserLocale();
}

/** The language to speak; Japanese while the exported page is being taken over, because that is what it holds. */
export function useLocale(): Locale {
  return useSyncExternalStore(usePreferences.subscribe, currentLocale, () => "ja");
}

function browserLocale(): Locale {
  const spoken = navigator.languages.map((tag) => tag.slice(0, 2));
  return LOCALES.find((locale) => locale === spoken.find((tag) => tag === "ja" || tag === "en")) ?? "en";
}

const prefersDark = () => window.matchMedia("(prefers-color-scheme: dark)");

/** The theme to paint. */
export function currentTheme(): "light" | "dark" {
  const { theme } = usePreferences.getState();
  return theme === "system" ? (prefersDark().matches ? "dark" : "light") : theme;
}

/** The theme to paint, as it changes: charts on a canvas need it, everything else has CSS variables. */
export function useTheme(): "light" | "dark" {
  return useSyncExternalStore(onThemeChange, currentTheme, () => "light");
}

function onThemeChange(changed: () => void): () => void {
  const media = prefersDark();
  media.addEventListener("change", changed);
  const forget = usePreferences.subscribe(changed);
  return () => {
    media.removeEventListener("change", changed);
    forget();
  };
}
