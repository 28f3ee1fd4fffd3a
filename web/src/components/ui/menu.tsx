"use client";

import { Menu as Base } from "@base-ui/react/menu";
import { MoreHorizontalIcon } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";

interface Choice {
  key: string;
  label: ReactNode;
  /** What it does, or where it leads. */
  onChoose?: () => void;
  href?: string;
  /** What cannot be undone stands apart in red. */
  danger?: boolean;
}

const ITEM = "flex min-h-8 items-center gap-2.5 rounded-lg px-3 py-1 outline-none data-highlighted:bg-sunken [&_svg]:size-4 [&_svg]:text-muted";

/** What can be done with a thing, behind three dots. */
export function Menu({ label, choices, className }: { label: string; choices: Choice[]; className?: string }) {
  return (
    <Base.Root>
      <Base.Trigger render={<Button variant="ghost" size="icon" aria-label={label} className={className} />}>
        <MoreHorizontalIcon aria-hidden />
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={4} align="end" className="z-50">
          <Base.Popup className="min-w-44 rounded-xl border border-line bg-surface p-1 text-sm shadow-float outline-none">
            {choices.map(({ key, label, onChoose, href, danger }) =>
              href === undefined ? (
                <Base.Item key={key} onClick={onChoose} className={cn(ITEM, danger && "text-bad [&_svg]:text-bad")}>
                  {label}
                </Base.Item>
              ) : (
                <Base.LinkItem key={key} render={<Link href={href} />} closeOnClick className={ITEM}>
                  {label}
                </Base.LinkItem>
              ),
            )}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
