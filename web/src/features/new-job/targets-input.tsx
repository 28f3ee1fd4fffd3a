"use client";

import { useQuery } from "@tanstack/react-query";
import { Input } from "@/components/ui/field";
import { modelQuery } from "@/features/jobs/materials";
import { cn } from "@/lib/cn";

const ALL = "all-linear";

interface Props {
  value: string;
  onChange: (value: string) => void;
  model: string | null;
}

/** Names of layers, typed or taken from those that the model has. */
export function TargetsInput({ value, onChange, model }: Props) {
  const { data } = useQuery({ ...modelQuery(model ?? ""), enabled: model !== null });
  const names = value.split(/[\s,、]+/).filter(Boolean);
  const toggle = (name: string) => {
    if (name === ALL) return onChange(ALL);
    const rest = names.filter((one) => one !== name && one !== ALL);
    return onChange((names.includes(name) ? rest : [...rest, name]).join(", ") || ALL);
  };
  return (
    <>
      <Input value={value} autoComplete="off" spellCheck={false} placeholder={ALL} className="font-mono" onChange={(event) => onChange(event.target.value)} />
      <div className="flex min-h-8 flex-wrap gap-1.5">
        {[ALL, ...(data?.targets ?? [])].map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={names.includes(name) || (name === ALL && names.length === 0)}
            onClick={() => toggle(name)}
            className={cn(
              "h-7 rounded-full border border-line px-3 font-mono text-xs text-muted transition-colors hover:border-line-strong hover:text-text",
              "aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent",
            )}
          >
            {name}
          </button>
        ))}
      </div>
    </>
  );
}
