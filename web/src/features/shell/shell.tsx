"use client";

import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Navigation } from "@/features/shell/navigation";
import { StatusStrip } from "@/features/shell/status-strip";
import { useKeptTrue } from "@/features/shell/use-kept-true";

/** What stands around every page. */
export function Shell({ children }: { children: ReactNode }) {
  const t = useTranslations("nav");
  useKeptTrue();
  return (
    <>
      <a
        href="#content"
        className="fixed top-2 left-2 z-50 -translate-y-20 rounded-lg bg-accent px-4 py-2 text-sm text-on-accent focus:translate-y-0"
      >
        {t("skip")}
      </a>
      <Navigation />
      <div className="flex min-h-dvh flex-col pb-[calc(3.5rem+env(safe-area-inset-bottom))] md:pb-0 md:pl-48">
        <StatusStrip />
        <main id="content" tabIndex={-1} className="flex-1 outline-none">
          {children}
        </main>
      </div>
    </>
  );
}
