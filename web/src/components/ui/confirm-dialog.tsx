"use client";

import { AlertDialog as Base } from "@base-ui/react/alert-dialog";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { Button } from "@/components/ui/button";
import { BACKDROP, POPUP } from "@/components/ui/dialog";
import { cn } from "@/lib/cn";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  /** What will be gone, or what else it changes. */
  description: ReactNode;
  /** The deed as a verb: 「削除する」, not 「OK」. */
  action: string;
  onConfirm: () => void;
  busy?: boolean;
  /** What went wrong with it: an `ErrorNote`. */
  children?: ReactNode;
}

/** Asks before something that cannot be undone. It does not close by itself: `onConfirm` closes it when it is done. */
export function ConfirmDialog({ open, onOpenChange, title, description, action, onConfirm, busy, children }: Props) {
  const t = useTranslations("common");
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Base.Backdrop className={BACKDROP} />
        <Base.Popup className={cn(POPUP, "max-w-md")}>
          <Base.Title className="text-lg font-semibold">{title}</Base.Title>
          <Base.Description className="text-sm text-muted">{description}</Base.Description>
          {children}
          <div className="flex flex-wrap justify-end gap-2 pt-2">
            <Base.Close render={<Button />}>{t("cancel")}</Base.Close>
            <Button variant="danger" onClick={onConfirm} busy={busy}>
              {action}
            </Button>
          </div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
