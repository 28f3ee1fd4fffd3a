"use client";

import { Toast as Base } from "@base-ui/react/toast";
import { XIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Button } from "@/components/ui/button";

const manager = Base.createToastManager();

/** Say in passing that something is done. What went wrong stays on the page, as an `ErrorNote`. */
export function toast(title: string, description?: string): void {
  manager.add({ title, description });
}

export function Toasts({ children }: { children: ReactNode }) {
  return (
    <Base.Provider toastManager={manager} limit={3}>
      {children}
      <Base.Portal>
        <Base.Viewport className="fixed inset-x-4 bottom-20 z-50 mx-auto max-w-sm md:right-6 md:bottom-6 md:left-auto md:w-sm">
          <List />
        </Base.Viewport>
      </Base.Portal>
    </Base.Provider>
  );
}

function List() {
  const t = useTranslations("common");
  const { toasts } = Base.useToastManager();
  return toasts.map((one) => (
    <Base.Root
      key={one.id}
      toast={one}
      className="mt-2 flex items-start justify-between gap-3 rounded-xl border border-line bg-surface p-3 pl-4 shadow-float transition-opacity data-ending-style:opacity-0 data-limited:hidden data-starting-style:opacity-0"
    >
      <div className="py-1">
        <Base.Title className="text-sm font-medium" />
        <Base.Description className="text-sm text-muted" />
      </div>
      <Base.Close render={<Button variant="ghost" size="icon" className="size-8" aria-label={t("close")} />}>
        <XIcon aria-hidden />
      </Base.Close>
    </Base.Root>
  ));
}
