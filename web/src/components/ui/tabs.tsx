"use client";

import { Tabs as Base } from "@base-ui/react/tabs";
import type { ReactNode } from "react";

interface Props<Value extends string> {
  value: Value;
  onChange: (value: Value) => void;
  tabs: { value: Value; label: ReactNode; panel: ReactNode }[];
}

/** Several views of one thing. Keep `value` in the address, so that a reload shows the same (`useParam`). */
export function Tabs<Value extends string>({ value, onChange, tabs }: Props<Value>) {
  return (
    <Base.Root value={value} onValueChange={onChange} className="flex flex-col gap-6">
      <Base.List className="relative flex gap-1 overflow-x-auto border-b border-line">
        {tabs.map((tab) => (
          <Base.Tab
            key={tab.value}
            value={tab.value}
            className="h-10 px-3 text-sm whitespace-nowrap text-muted -outline-offset-2 hover:text-text data-active:font-medium data-active:text-text"
          >
            {tab.label}
          </Base.Tab>
        ))}
        <Base.Indicator className="absolute bottom-0 left-(--active-tab-left) h-0.5 w-(--active-tab-width) rounded-full bg-accent transition-all duration-150" />
      </Base.List>
      {tabs.map((tab) => (
        <Base.Panel key={tab.value} value={tab.value}>
          {tab.panel}
        </Base.Panel>
      ))}
    </Base.Root>
  );
}
