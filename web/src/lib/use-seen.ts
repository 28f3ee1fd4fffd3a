"use client";

import { useEffect, useRef, useState, type RefObject } from "react";

/** Whether something has been in sight yet: what only the eye needs is loaded then. */
export function useSeen<T extends Element>(): [RefObject<T | null>, boolean] {
  const ref = useRef<T>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = ref.current;
    if (seen || element === null) return undefined;
    const observer = new IntersectionObserver((entries) => setSeen(entries.some((one) => one.isIntersecting)));
    observer.observe(element);
    return () => observer.disconnect();
  }, [seen]);
  return [ref, seen];
}
