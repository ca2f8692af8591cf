import { cx } from "../ui/class-names";

/** How a subscription is named wherever something is about it. Its page hangs here once it exists. */
export function SubscriptionName({ id, name, className }: { id: string; name: string | null | undefined; className?: string }) {
  return <span title={id} className={cx("truncate font-medium", className)}>{name ?? `${id.slice(0, 8)}…`}</span>;
}
