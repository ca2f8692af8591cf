/** Every page that there is, with what has to be on it before it is looked at. */
import { readFileSync } from "node:fs";
import { expect, type Page } from "@playwright/test";
import type { Furnished } from "./furnished";

export interface Place {
  /** What it is called here, and its picture. */
  name: string;
  /** As the router has it. */
  route: string;
  path: (made: Furnished) => string;
  /** Its heading. */
  heading: string | RegExp;
  /** Shown once what it asked for is there. */
  shows?: string | RegExp;
  /** Whoever looks is not signed in. */
  isOutside?: true;
}

const at = (path: string) => () => path;

export const PLACES: readonly Place[] = [
  { name: "sign-in", route: "/sign-in", path: at("/sign-in"), heading: "Sign in", isOutside: true },
  { name: "setup", route: "/setup", path: at("/setup#token=phl_not_a_real_one"), heading: "Welcome", isOutside: true },
  { name: "setup-without-its-token", route: "/setup", path: at("/setup"), heading: "This link is incomplete", isOutside: true },
  { name: "invitation", route: "/invitation", path: at("/invitation#token=phl_not_a_real_one"), heading: "Welcome", isOutside: true },
  { name: "overview", route: "/", path: at("/"), heading: "Overview", shows: "In trouble" },
  { name: "events", route: "/events", path: at("/events"), heading: "Events", shows: "order.created" },
  { name: "events-without-a-match", route: "/events", path: at("/events?eventType=never.sent"), heading: "Events", shows: "No event matches" },
  { name: "send-event", route: "/events/send", path: at("/events/send"), heading: "Send an event", shows: "The same by the API" },
  { name: "event", route: "/events/$id", path: (made) => `/events/${made.event}`, heading: "order.created", shows: "Why it did not go elsewhere" },
  { name: "event-that-is-not", route: "/events/$id", path: at("/events/00000000-0000-7000-8000-000000000000"), heading: "Event", shows: "Try again" },
  { name: "subscriptions", route: "/subscriptions", path: at("/subscriptions"), heading: "Subscriptions", shows: "Kept healthy" },
  { name: "register", route: "/subscriptions/new", path: at("/subscriptions/new"), heading: "Register a subscription", shows: "Body and signature" },
  { name: "subscription-healthy", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.healthy}`, heading: "Kept healthy", shows: "Settings in force" },
  { name: "subscription-cut", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.cut}`, heading: "Kept cut", shows: "the breaker is open" },
  { name: "subscription-held", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.held}`, heading: "Kept held", shows: "the receiver asked to be left alone" },
  { name: "subscription-paused", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.paused}`, heading: "Kept paused", shows: "all of it is kept" },
  { name: "subscription-deactivated", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.deactivated}`, heading: "Kept deactivated", shows: "Mend the receiver" },
  { name: "subscription-paced", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.paced}`, heading: "Kept paced", shows: "Paced" },
  { name: "subscription-blocked", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.blocked}`, heading: "Kept blocked", shows: "Blocked lines" },
  { name: "subscription-long", route: "/subscriptions/$id", path: (made) => `/subscriptions/${made.subscriptions.long}`, heading: /all of a hundred characters$/, shows: "Settings in force" },
  { name: "edit", route: "/subscriptions/$id/edit", path: (made) => `/subscriptions/${made.subscriptions.healthy}/edit`, heading: /Kept healthy/, shows: "Body and signature" },
  { name: "deliveries", route: "/deliveries", path: at("/deliveries"), heading: "Deliveries", shows: "order.created" },
  { name: "delivery", route: "/deliveries/$id", path: (made) => `/deliveries/${made.delivered}`, heading: "order.created", shows: "The receiver took it" },
  { name: "delivery-failed", route: "/deliveries/$id", path: (made) => `/deliveries/${made.failed}`, heading: /./, shows: "Attempt 1" },
  { name: "jobs", route: "/jobs", path: at("/jobs"), heading: "Jobs", shows: "Completed" },
  { name: "event-types", route: "/event-types", path: at("/event-types"), heading: "Event types", shows: "order.created" },
  { name: "event-type", route: "/event-types/$name", path: (made) => `/event-types/${made.eventType}`, heading: "order.created", shows: "Described" },
  { name: "describe-type", route: "/new/event-type", path: at("/new/event-type"), heading: "Describe a type" },
  { name: "system", route: "/system", path: at("/system"), heading: "System", shows: "Supervision tree" },
  { name: "system-settings", route: "/system", path: at("/system?tab=settings"), heading: "System", shows: "[server]" },
  { name: "keys", route: "/keys", path: at("/keys"), heading: "Keys", shows: "orders-service" },
  { name: "tenants", route: "/tenants", path: at("/tenants"), heading: "Tenants", shows: /A tenant with a rather long name/ },
  { name: "tenant", route: "/tenants/$id", path: (made) => `/tenants/${made.tenant}`, heading: /A tenant with a rather long name/, shows: "About" },
  { name: "users", route: "/users", path: at("/users"), heading: "Users", shows: "Grace Hopper" },
  { name: "audit", route: "/audit", path: at("/audit"), heading: "Audit log", shows: "session.create" },
  { name: "account", route: "/account", path: at("/account"), heading: "Your account", shows: "this one" },
];

/** The paths in the router's table. */
export function routesOfRouter(): string[] {
  const table = readFileSync(new URL("../../../dashboard/src/router.tsx", import.meta.url), "utf8");
  return [...new Set([...table.matchAll(/\bpath: "([^"]+)"/g)].map(([, path = ""]) => path))].sort();
}

/** Goes there, and waits until everything that was asked for is drawn. */
export async function visit(page: Page, place: Place, made: Furnished): Promise<void> {
  await page.goto(`/ui${place.path(made)}`);
  await expect(page.getByRole("heading", { level: 1, name: place.heading })).toBeVisible();
  if (place.shows) await expect(page.locator("#main").getByText(place.shows).locator("visible=true").first()).toBeVisible();
  await settled(page);
}

/** Nothing is still to come: no skeleton, no face that is not loaded. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("[data-skeleton]")).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}
