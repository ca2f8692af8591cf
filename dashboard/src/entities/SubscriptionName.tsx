import { Link } from "@tanstack/react-router";
import { cx } from "../ui/class-names";
import { visible } from "../ui/visible";

/** How a subscription is named wherever something is about it; it leads to its page. */
// A box that hides its end stands on its foot: it is moved back to the line of the text around it.
export function SubscriptionName({ id, name, className }: { id: string; name: string | null | undefined; className?: string }) {
  return <Link to="/subscriptions/$id" params={{ id }} title={name ? undefined : id} className={cx("inline-block max-w-full truncate align-[-0.455rem] font-medium leading-6 hover:underline", className)}><bdi>{name ? visible(name) : `${id.slice(0, 8)}…`}</bdi></Link>;
}
