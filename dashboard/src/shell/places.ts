/** Where one can go. A new page stands here once, and is in the navigation, the palette and the keys. */
import type { LinkProps } from "@tanstack/react-router";
import type { Scope } from "../api/session";
import type { IconName } from "../ui/Icon";

export interface Place {
  to: NonNullable<LinkProps["to"]>;
  name: string;
  icon: IconName;
  /** What it takes to see it. */
  scope: Scope;
  /** The key after `g`. */
  key?: string;
  /** Not for clients, whatever their scopes. */
  operatorsOnly?: boolean;
}

export const PLACES: readonly Place[] = [
  { to: "/", name: "Overview", icon: "overview", scope: "deliveries:read", key: "o" },
  { to: "/events", name: "Events", icon: "events", scope: "events:read", key: "e" },
  { to: "/subscriptions", name: "Subscriptions", icon: "subscriptions", scope: "subscriptions:read", key: "s" },
];

/** What can be done from anywhere, by the palette. */
export const ACTIONS: readonly (Omit<Place, "key"> & { hash?: string })[] = [
  { to: "/events/send", name: "Send a test event", icon: "send", scope: "events:write" },
  { to: "/subscriptions/new", name: "Register a subscription", icon: "subscriptions", scope: "subscriptions:write" },
];
