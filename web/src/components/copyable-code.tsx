"use client";

import { CheckIcon, CopyIcon } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { Button } from "@/components/ui/button";

interface Props {
  /** What it is, for those who do not see it. */
  label: string;
  children: string;
}

/** Commands or a file, to be taken along. */
export function CopyableCode({ label, children }: Props) {
  const t = useTranslations("common");
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(children);
    setCopied(true);
  };
  const Icon = copied ? CheckIcon : CopyIcon;
  return (
    <div className="relative rounded-xl border border-line bg-sunken">
      <pre tabIndex={0} role="region" aria-label={label} className="max-h-96 overflow-auto p-4 pr-14 font-mono text-[0.8125rem] leading-relaxed">
        {children}
      </pre>
      <Button
        variant="ghost"
        size="icon"
        className="absolute top-1.5 right-1.5 bg-sunken"
        aria-label={copied ? t("copied") : t("copy")}
        onClick={() => void copy()}
        onBlur={() => setCopied(false)}
      >
        <Icon aria-hidden />
      </Button>
    </div>
  );
}
