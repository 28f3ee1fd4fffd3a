import Link from "next/link";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

/** The link of a row or a card: the whole of its nearest `relative` ancestor can be clicked. */
export function RowLink({ className, ...props }: ComponentProps<typeof Link>) {
  return <Link {...props} className={cn("font-medium after:absolute after:inset-0 hover:text-accent", className)} />;
}
