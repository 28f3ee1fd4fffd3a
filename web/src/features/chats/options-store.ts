import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { Schemas } from "@/lib/api";

export const WHO = ["compare", "tuned", "base"] as const;

export type Engine = NonNullable<Schemas["MessageRequest"]["engine"]>;

/** How answers are drawn, and whose: kept in this browser for all conversations. */
export interface Options {
  /** Who answers where there is a trained adapter: with it, without it, or both. */
  who: (typeof WHO)[number];
  /** What shall answer; `auto`: Ollama where it has the very model. */
  engine: Engine;
  temperature: number;
  top_p: number;
  max_tokens: number;
  /** null: another one for each question. */
  seed: number | null;
}

export const DEFAULTS: Omit<Options, "who" | "engine"> = { temperature: 0.7, top_p: 0.95, max_tokens: 512, seed: null };

export const useOptions = create<Options>()(persist((): Options => ({ who: "compare", engine: "auto", ...DEFAULTS }), { name: "llmlora.chat" }));

/** Small enough to be read and typed. */
export function anySeed(): number {
  return Math.floor(Math.random() * 1_000_000);
}

/** What a question says of its answers. */
export function drawing({ who, seed, ...rest }: Options) {
  return { ...rest, seed: seed ?? anySeed(), adapted: who !== "base", compare: who === "compare" };
}
