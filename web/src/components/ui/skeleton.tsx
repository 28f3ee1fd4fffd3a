import { cn } from "@/lib/cn";

/** The shape of what is being loaded. Give it the size of what will stand there: nothing jumps then. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-pulse rounded-lg bg-sunken", className)} />;
}
