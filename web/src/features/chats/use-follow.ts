"use client";

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

const NEAR = 48; // px from the end of the page that count as being there

/** Keeps the end of a growing page in sight, until the reader scrolls up to read; at the end it follows again. */
export function useFollow(growing: RefObject<HTMLElement | null>): { away: boolean; toEnd: () => void } {
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const follow = useCallback((yes: boolean) => {
    following.current = yes;
    setAway(!yes);
  }, []);
  const toEnd = useCallback(() => {
    follow(true);
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }, [follow]);
  useEffect(() => {
    let last = window.scrollY;
    const scrolled = () => {
      const end = document.documentElement.scrollHeight - window.innerHeight;
      if (window.scrollY >= end - NEAR) follow(true);
      else if (window.scrollY < last) follow(false);
      last = window.scrollY;
    };
    window.addEventListener("scroll", scrolled, { passive: true });
    return () => window.removeEventListener("scroll", scrolled);
  }, [follow]);
  useEffect(() => {
    const element = growing.current;
    if (!element) return undefined;
    const grown = new ResizeObserver(() => following.current && toEnd());
    grown.observe(element);
    return () => grown.disconnect();
  }, [growing, toEnd]);
  return { away, toEnd };
}
