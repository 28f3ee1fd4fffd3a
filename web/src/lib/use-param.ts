"use client";

import { useSearchParams } from "next/navigation";
import { useCallback } from "react";

type Value = string | null;

/**
 * A value in the address, `?name=value`: it survives a reload and can be sent to someone. The page that uses it is inside a
 * `Suspense`, because the exported file knows no address.
 */
export function useParam(name: string): [Value, (value: Value | ((now: Value) => Value)) => void] {
  const params = useSearchParams();
  const set = useCallback(
    (value: Value | ((now: Value) => Value)) => {
      const address = new URL(window.location.href);
      const next = typeof value === "function" ? value(address.searchParams.get(name)) : value;
      if (next === null) address.searchParams.delete(name);
      else address.searchParams.set(name, next);
      window.history.replaceState(null, "", address); // Next follows it, at once and without asking the server
    },
    [name],
  );
  return [params.get(name), set];
}
