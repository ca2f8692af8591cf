import { useEffect, useId, useRef, type ReactNode, type RefObject } from "react";
import { cx } from "./class-names";

/** A part of a page under its own heading. */
export function Panel({ title, aside, children, flush = false, className }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; flush?: boolean; className?: string }) {
  const id = useId();
  return (
    <section {...(title ? { "aria-labelledby": id } : {})} className={cx("min-w-0 rounded-md border bg-panel", className)}>
      {(title || aside) && (
        <header className="flex min-h-9 flex-wrap items-center justify-between gap-x-3 gap-y-1 border-b px-3 py-1">
          {title && <h2 id={id} className="font-semibold">{title}</h2>}
          {aside}
        </header>
      )}
      <div className={flush ? "" : "p-3"}>{children}</div>
    </section>
  );
}

/** A figure under its name: what an instrument panel is made of. */
export function Figure({ name, value, unit, note, tone }: { name: ReactNode; value: ReactNode; unit?: string; note?: ReactNode; tone?: string | undefined }) {
  return (
    <div className="min-w-0">
      <dt className="label truncate">{name}</dt>
      <dd className={cx("truncate text-xl font-medium tabular-nums tracking-tight", tone)}>
        {value}
        {unit && <span className="ml-0.5 text-sm font-normal text-muted">{unit}</span>}
      </dd>
      {note !== undefined && <dd className="truncate text-sm tabular-nums text-muted">{note}</dd>}
    </div>
  );
}

/** Names and values, one a row. */
export function Facts({ rows }: { rows: (readonly [name: string, value: ReactNode] | false | null | undefined)[] }) {
  return (
    <dl className="grid grid-cols-[minmax(6rem,max-content)_minmax(0,1fr)] gap-x-4 gap-y-0.5">
      {rows.map((row) => row && (
        <div key={row[0]} className="col-span-2 grid min-h-6 grid-cols-subgrid items-baseline">
          <dt className="text-muted">{row[0]}</dt>
          <dd className="min-w-0 break-words">{row[1]}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The head of a page: where one is, and what can be done here. */
export function PageHead({ title, lead, actions, children }: { title: ReactNode; lead?: ReactNode; actions?: ReactNode; children?: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useTitle(heading);
  return (
    <header className="mb-3">
      <div className="flex min-h-8 flex-wrap items-center gap-x-4 gap-y-2">
        <h1 className="min-w-0 wrap-anywhere text-xl font-semibold tracking-tight outline-none" tabIndex={-1} id="page-title" ref={heading}>{title}</h1>
        {lead && <div className="min-w-0 text-muted">{lead}</div>}
        {actions && <div className="ml-auto flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </header>
  );
}

/** The window is named as its page is, by whatever text stands in the heading. */
export function useTitle(heading: RefObject<HTMLElement | null>) {
  useEffect(() => {
    const name = heading.current?.textContent;
    document.title = name ? `${name} · Posthaste` : "Posthaste";
  });
}
