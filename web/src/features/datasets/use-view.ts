"use client";

import { useRouter, useSearchParams } from "next/navigation";
import { useCallback } from "react";
import { addressOf, TABS, type View } from "@/features/datasets/address";

export const DEFAULT_LENGTH = 1024;
export const LENGTHS = { min: 8, max: 1_048_576 };

/** What the address says is looked at, and the address of something else: what is not named stays as it is. */
export function useView(id: string) {
  const router = useRouter();
  const params = useSearchParams();
  const model = params.get("model") ?? undefined;
  const length = wholeNumber(params.get("length"), LENGTHS.min, LENGTHS.max);
  const row = wholeNumber(params.get("row"), 1);
  const offset = wholeNumber(params.get("offset"), 0);
  const tab = TABS.find((one) => one === params.get("tab")) ?? "overview";
  const to = useCallback((view: View) => addressOf(id, { tab, model, length, ...view }), [id, tab, model, length]);
  const go = useCallback((view: View) => router.replace(to(view), { scroll: false }), [router, to]);
  return { tab, model, length: length ?? DEFAULT_LENGTH, place: row === undefined ? { offset: offset ?? 0 } : { row }, to, go };
}

/** The number a text stands for, within bounds. */
export function wholeNumber(text: string | null, least: number, most = 1_000_000_000): number | undefined {
  const number = Number(text);
  if (text === null || text.trim() === "" || !Number.isInteger(number)) return undefined;
  return Math.min(Math.max(number, least), most);
}
