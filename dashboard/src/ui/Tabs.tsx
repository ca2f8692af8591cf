import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./class-names";

export interface Tab<T extends string> {
  value: T;
  label: ReactNode;
  content: ReactNode;
}

/** Panels of which one is shown. Which one is the page's to keep, mostly in the URL. `bare` where they stand in no panel. */
export function Tabs<T extends string>({ tabs, value, onChange, label, bare = false }: { tabs: readonly Tab<T>[]; value: T; onChange: (value: T) => void; label: string; bare?: boolean }) {
  return (
    <Radix.Root value={value} onValueChange={(next) => onChange(next as T)}>
      <Radix.List aria-label={label} className={cx("flex flex-wrap gap-x-4 border-b", !bare && "px-3")}>
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.value} value={tab.value}
            className="-mb-px h-9 whitespace-nowrap -outline-offset-2 border-b-2 border-transparent font-medium text-muted hover:text-text data-[state=active]:border-accent data-[state=active]:text-text"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => <Radix.Content key={tab.value} value={tab.value} className="outline-none">{tab.content}</Radix.Content>)}
    </Radix.Root>
  );
}

/** One of a few, side by side. */
export function Choice<T extends string>({ options, value, onChange, label }: {
  options: readonly { value: T; label: ReactNode; title?: string }[]; value: T; onChange: (value: T) => void; label: string;
}) {
  return (
    <div role="group" aria-label={label} className="inline-flex rounded border border-edge/60 bg-panel p-px">
      {options.map((option) => (
        <button
          key={option.value} type="button" aria-pressed={option.value === value} title={option.title} onClick={() => onChange(option.value)}
          className="inline-flex h-6 min-w-7 items-center justify-center gap-1 rounded-[3px] px-2 text-sm font-medium text-muted hover:text-text aria-pressed:bg-accent-soft aria-pressed:text-text"
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
