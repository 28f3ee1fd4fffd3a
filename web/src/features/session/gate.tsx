"use client";

import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, type ReactNode } from "react";
import { sessionQuery } from "@/features/session/queries";
import { isSignedOut } from "@/lib/failure";

const SignIn = lazy(() => import("@/features/session/sign-in")); // rarely needed

/** The pages, or the way in. Pages are shown at once, with their skeletons: most who come are signed in. */
export function Gate({ children }: { children: ReactNode }) {
  const session = useQuery(sessionQuery);
  useEffect(() => {
    // an address with a token, opened in a tab that is already here
    const changed = () => window.location.hash.startsWith("#token=") && window.location.reload();
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  if (!isSignedOut(session.error)) return children;
  return (
    <Suspense>
      <SignIn />
    </Suspense>
  );
}
