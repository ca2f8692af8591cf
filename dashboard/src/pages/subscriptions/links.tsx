import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";

/** Those pages type their own search; here only what they are asked for is known. */
const DELIVERIES = "/deliveries" as NonNullable<LinkProps["to"]>;

/** To the list of deliveries, those of one subscription. */
export function DeliveriesLink({ subscription, status, children, className }: { subscription: string; status?: string; children: ReactNode; className?: string }) {
  const search = { subscriptionId: subscription, ...(status ? { status } : {}) };
  return <Link to={DELIVERIES} search={search as never} className={className ?? "text-accent hover:underline"}>{children}</Link>;
}

export function DeliveryLink({ id, children, className }: { id: string; children: ReactNode; className?: string }) {
  return <Link to={`/deliveries/${id}` as NonNullable<LinkProps["to"]>} className={className ?? "hover:underline"}>{children}</Link>;
}

/** A link that looks as a button does. */
export const BUTTON_LINK = "inline-flex h-7 items-center gap-1.5 whitespace-nowrap rounded border border-edge/60 bg-panel px-2.5 font-medium hover:bg-sunken";
export const PRIMARY_LINK = "inline-flex h-7 items-center gap-1.5 whitespace-nowrap rounded bg-accent px-2.5 font-medium text-accent-text hover:brightness-110";
