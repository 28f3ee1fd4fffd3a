"use client";

import { ActivityIcon, BoxIcon, HomeIcon, MessageCircleIcon, Rows3Icon, SettingsIcon, type LucideIcon } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { useTranslations } from "use-intl";
import { cn } from "@/lib/cn";

const PLACES = [
  { path: "/", name: "home", icon: HomeIcon },
  { path: "/datasets/", name: "datasets", icon: Rows3Icon },
  { path: "/models/", name: "models", icon: BoxIcon },
  { path: "/training/", name: "training", icon: ActivityIcon },
  { path: "/chat/", name: "chat", icon: MessageCircleIcon },
  { path: "/settings/", name: "settings", icon: SettingsIcon },
] as const satisfies { path: string; name: string; icon: LucideIcon }[];

/** A rail at the side, a bar at the bottom of a phone. */
export function Navigation() {
  const t = useTranslations("nav");
  const path = usePathname();
  return (
    <nav
      aria-label={t("label")}
      className="fixed inset-x-0 bottom-0 z-30 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:inset-y-0 md:right-auto md:w-48 md:border-t-0 md:border-r md:bg-bg md:pb-0"
    >
      <p className="hidden h-14 items-center gap-2.5 px-5 font-semibold tracking-tight md:flex">
        <Mark />
        llmlora
      </p>
      <ul className="grid grid-cols-6 md:flex md:flex-col md:gap-0.5 md:px-3 md:py-2">
        {PLACES.map(({ path: to, name, icon: Icon }) => {
          const here = to === "/" ? path === "/" : path.startsWith(to);
          return (
            <li key={name} className="min-w-0">
              <Link
                href={to}
                aria-current={here ? "page" : undefined}
                className={cn(
                  "flex h-14 flex-col items-center justify-center gap-0.5 text-2xs -outline-offset-2 transition-colors md:h-9 md:flex-row md:justify-start md:gap-3 md:rounded-lg md:px-3 md:text-sm",
                  here ? "font-medium text-accent md:bg-accent-soft" : "text-muted hover:text-text md:hover:bg-sunken",
                )}
              >
                <Icon aria-hidden className="size-5 shrink-0 md:size-4" strokeWidth={1.75} />
                <span className="max-w-full truncate leading-tight">{t(name)}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

/** Two low-rank factors beside the frozen square: what LoRA is. */
export function Mark() {
  return (
    <svg aria-hidden viewBox="0 0 20 20" className="size-5 text-accent" fill="currentColor">
      <rect x="1" y="1" width="12" height="12" rx="2.5" opacity="0.28" />
      <rect x="15" y="1" width="4" height="12" rx="1.5" />
      <rect x="1" y="15" width="12" height="4" rx="1.5" />
    </svg>
  );
}
