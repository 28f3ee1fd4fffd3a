import type { ReactNode } from "react";

export interface Fact {
  name: string;
  value: ReactNode;
  /** Where it comes from, or how to change it. */
  note?: ReactNode;
}

/** Names and their values, one under the other. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className="divide-y divide-line rounded-2xl border border-line bg-surface text-sm">
      {facts.map((fact) => (
        <div key={fact.name} className="grid gap-x-6 gap-y-0.5 px-5 py-3 md:grid-cols-[14rem_1fr]">
          <dt className="text-muted">{fact.name}</dt>
          <dd className="min-w-0">
            {fact.value}
            {fact.note && <span className="block text-xs text-muted">{fact.note}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
