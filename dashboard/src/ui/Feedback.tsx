import type { ReactNode } from "react";
import { adviceFor } from "../api/problem";
import { Button } from "./Button";
import { cx } from "./class-names";
import { Icon, type IconName } from "./Icon";

/** Where something will stand. It holds the same room, so that nothing jumps. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden="true" data-skeleton className={cx("breathe rounded bg-sunken dark:bg-raised", className ?? "h-4 w-full")} />;
}

/** For a heading whose name is not known yet: what kind of thing it is can be said. */
export function TitleSkeleton({ of }: { of: string }) {
  return <><span className="sr-only">{of}</span><Skeleton className="h-6 w-56" /></>;
}

export function SkeletonRows({ rows = 8 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="divide-y">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="flex h-8 items-center gap-4 px-3">
          <Skeleton className="h-3 w-16" />
          <Skeleton className="h-3 w-40" />
          <Skeleton className="ml-auto h-3 w-24" />
        </div>
      ))}
    </div>
  );
}

/** Nothing is there yet: says what comes here, and teaches the next step. */
export function EmptyState({ icon = "events", title, children, level = 2 }: { icon?: IconName; title: string; children?: ReactNode; /** Of its heading: 3 where a panel's heading is above it, 1 where it is the page. */ level?: 1 | 2 | 3 }) {
  const Heading = `h${level}` as const;
  return (
    <div className="flex flex-col items-center gap-2.5 px-4 py-10 text-center">
      <Icon name={icon} size={22} className="text-muted" />
      <Heading className="font-semibold">{title}</Heading>
      {children && <div className="flex min-w-0 max-w-full flex-col items-center gap-3 text-muted">{children}</div>}
    </div>
  );
}

/** It failed: says what happened and what to do. */
export function ErrorState({ error, onRetry, what }: { error: unknown; onRetry?: () => void; what: string }) {
  const { title, advice, reference } = adviceFor(error);
  return (
    <div role="alert" className="flex flex-col items-start gap-1.5 p-4">
      <p className="flex items-start gap-2 font-semibold"><Icon name="warning" className="mt-0.5 text-bad" />{what} cannot be shown: {title}</p>
      <p className="max-w-prose text-muted">{advice}</p>
      {reference && <p className="text-sm text-muted">Request <span className="font-mono">{reference}</span></p>}
      {onRetry && <Button icon="retry" onClick={onRetry} className="mt-1">Try again</Button>}
    </div>
  );
}

/** A sentence that matters, over the page's width. */
export function Notice({ tone, icon, children, actions }: { tone: "busy" | "bad" | "held" | "quiet"; icon: IconName; children: ReactNode; actions?: ReactNode }) {
  const grounds = { busy: "bg-busy-soft text-busy", bad: "bg-bad-soft text-bad", held: "bg-held-soft text-held", quiet: "bg-quiet-soft text-quiet" };
  return (
    <div className={cx("flex flex-wrap items-start gap-x-2 gap-y-1 rounded px-3 py-1.5", grounds[tone])}>
      <Icon name={icon} size={14} className="mt-[0.1875rem]" />
      <span className="min-w-0 flex-1">{children}</span>
      {actions}
    </div>
  );
}
