import { cn } from "@/lib/cn";

/** How two texts differ, as `diff -u` writes it; white space is visible in it already. */
export function Diff({ label, children }: { label: string; children: string }) {
  return (
    <pre tabIndex={0} role="region" aria-label={label} className="max-h-96 overflow-auto rounded-xl border border-line bg-surface py-2 font-mono text-xs leading-relaxed">
      {children.split("\n").map((line, at) => (
        <span key={at} className={cn("block min-w-fit px-3", look(line))}>
          {line}
        </span>
      ))}
    </pre>
  );
}

function look(line: string): string {
  if (/^(---|\+\+\+|@@)/.test(line)) return "text-muted";
  if (line.startsWith("-")) return "bg-bad-soft text-bad";
  return line.startsWith("+") ? "bg-good-soft text-good" : "";
}
