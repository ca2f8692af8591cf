/** Where one can go. A new page stands here once, and is in the navigation, the palette and the keys. */
import type { LinkProps } from "@tanstack/react-router";
import { allows, type Scope, type Session } from "../api/session";
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
  /** Stands apart from what one looks at all day. */
  administers?: boolean;
}

export const PLACES: readonly Place[] = [
  { to: "/", name: "Overview", icon: "overview", scope: "deliveries:read", key: "o" },
  { to: "/events", name: "Events", icon: "events", scope: "events:read", key: "e" },
  { to: "/subscriptions", name: "Subscriptions", icon: "subscriptions", scope: "subscriptions:read", key: "s" },
  { to: "/deliveries", name: "Deliveries", icon: "deliveries", scope: "deliveries:read", key: "d" },
  { to: "/jobs", name: "Jobs", icon: "jobs", scope: "deliveries:read", key: "j" },
  { to: "/event-types", name: "Event types", icon: "book", scope: "events:read", key: "t" },
  { to: "/system", name: "System", icon: "system", scope: "admin", key: "y", operatorsOnly: true, administers: true },
  { to: "/keys", name: "Keys", icon: "key", scope: "admin", key: "k", administers: true },
  { to: "/tenants", name: "Tenants", icon: "tenants", scope: "admin", key: "n", operatorsOnly: true, administers: true },
  { to: "/users", name: "Users", icon: "users", scope: "admin", key: "u", operatorsOnly: true, administers: true },
  { to: "/audit", name: "Audit log", icon: "audit", scope: "admin", key: "a", administers: true },
];

/** What can be done from anywhere, by the palette. */
export const ACTIONS: readonly (Omit<Place, "key"> & { hash?: string })[] = [
  { to: "/events/send", name: "Send a test event", icon: "send", scope: "events:write" },
  { to: "/subscriptions/new", name: "Register a subscription", icon: "subscriptions", scope: "subscriptions:write" },
  { to: "/new/event-type", name: "Describe a type of event", icon: "plus", scope: "admin", operatorsOnly: true },
];

export function maySee(session: Session, place: Pick<Place, "scope" | "operatorsOnly">): boolean {
  return allows(session, place.scope) && !(place.operatorsOnly && session.tenant !== null);
}

/** Where somebody begins: not all may see the overview. */
export function homeOf(session: Session): Place["to"] {
  return PLACES.find((place) => maySee(session, place))?.to ?? "/account";
}

/** Forms that are nothing to look at for those who may not send them. */
const EDITS = /^\/subscriptions\/[^/]+\/edit$/;

/** What it takes to see a page; nothing where everybody may, as one's own account. */
export function neededFor(path: string): Pick<Place, "scope" | "operatorsOnly"> | undefined {
  const action = ACTIONS.find((one) => one.to === path);
  if (action) return action;
  if (EDITS.test(path)) return { scope: "subscriptions:write" };
  return PLACES.find((place) => path === place.to || (place.to !== "/" && path.startsWith(`${place.to}/`)));
}
