"use client";

import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { useCallback } from "react";

/**
 * A value in the address, `?name=value`: it survives a reload and can be sent to someone. The page that uses it is inside a
 * `Suspense`, because the exported file knows no address.
 */
export function useParam(name: string): [string | null, (value: string | null) => void] {
  const router = useRouter();
  const path = usePathname();
  const params = useSearchParams();
  const set = useCallback(
    (value: string | null) => {
      const changed = new URLSearchParams(window.location.search);
      if (value === null) changed.delete(name);
      else changed.set(name, value);
      const query = changed.toString();
      router.replace(query ? `${path}?${query}` : path, { scroll: false });
    },
    [name, path, router],
  );
  return [params.get(name), set];
}
