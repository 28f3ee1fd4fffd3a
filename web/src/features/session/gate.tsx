"use client";

import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";
import { sessionQuery } from "@/features/session/queries";
import { SignIn } from "@/features/session/sign-in";
import { isSignedOut } from "@/lib/failure";

/** The pages, or the way in. Pages are shown at once, with their skeletons: most who come are signed in. */
export function Gate({ children }: { children: ReactNode }) {
  const session = useQuery(sessionQuery);
  useEffect(() => {
    // an address with a token, opened in a tab that is already here
    const changed = () => window.location.hash.startsWith("#token=") && window.location.reload();
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return isSignedOut(session.error) ? <SignIn /> : children;
}
