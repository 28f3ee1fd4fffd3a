import { Button as Base } from "@base-ui/react/button";
import { cva, type VariantProps } from "class-variance-authority";
import Link from "next/link";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const look = cva(
  "inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-50 data-disabled:cursor-not-allowed data-disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        primary: "bg-accent text-on-accent not-disabled:hover:bg-accent-hover",
        secondary: "border border-line bg-surface not-disabled:hover:bg-sunken",
        ghost: "text-muted not-disabled:hover:bg-sunken not-disabled:hover:text-text",
        danger: "border border-line bg-surface text-bad not-disabled:hover:border-bad not-disabled:hover:bg-bad-soft",
      },
      size: { md: "h-9 px-4 text-sm", sm: "h-8 px-3 text-[0.8125rem]", icon: "size-9" },
    },
    defaultVariants: { variant: "secondary", size: "md" },
  },
);

type Look = VariantProps<typeof look>;

/** `busy`: what it started is under way; it keeps its place and its focus. An icon alone needs `aria-label`. */
export function Button({ variant, size, className, busy, ...props }: ComponentProps<typeof Base> & Look & { busy?: boolean }) {
  return (
    <Base
      type="button"
      {...props}
      disabled={props.disabled || busy}
      focusableWhenDisabled={busy}
      aria-busy={busy || undefined}
      className={cn(look({ variant, size }), className as string)}
    />
  );
}

/** Goes somewhere, and looks like a button. */
export function ButtonLink({ variant, size, className, ...props }: ComponentProps<typeof Link> & Look) {
  return <Link {...props} className={cn(look({ variant, size }), className)} />;
}
