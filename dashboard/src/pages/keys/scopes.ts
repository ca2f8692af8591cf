/** What keys may do, in words as short as they can be. */
import type { Scope } from "../../api/session";

export const PRESETS = {
  service: { name: "Service", about: "Posts events, and looks at them.", scopes: ["events:write", "events:read"] },
  client: { name: "Client", about: "Its own subscriptions and deliveries: what a customer's portal takes.", scopes: ["subscriptions:read", "subscriptions:write", "deliveries:read", "deliveries:write", "events:read"] },
  admin: { name: "Admin", about: "Everything, keys included.", scopes: ["admin"] },
} as const satisfies Record<string, { name: string; about: string; scopes: readonly Scope[] }>;

export type Preset = keyof typeof PRESETS;

export const SCOPES: readonly { scope: Scope; about: string }[] = [
  { scope: "events:write", about: "post events" },
  { scope: "events:read", about: "look at events" },
  { scope: "subscriptions:read", about: "look at subscriptions" },
  { scope: "subscriptions:write", about: "change subscriptions, see their secrets" },
  { scope: "deliveries:read", about: "look at deliveries and attempts" },
  { scope: "deliveries:write", about: "send deliveries again, or end them" },
  { scope: "admin", about: "everything, keys included" },
];

/** `service`, `client`, `admin`, or what there is: `events:*`, `deliveries:read`. */
export function inShort(scopes: readonly string[]): string[] {
  const given = new Set(scopes);
  const preset = Object.entries(PRESETS).find(([, { scopes: of }]) => of.length === given.size && of.every((scope) => given.has(scope)));
  if (preset) return [preset[0]];
  if (given.has("admin")) return ["admin"];
  const things = [...new Set(scopes.map((scope) => scope.split(":")[0] ?? scope))];
  return things.flatMap((thing) => {
    const both = [`${thing}:read`, `${thing}:write`];
    return both.every((scope) => given.has(scope)) ? [`${thing}:*`] : scopes.filter((scope) => scope === thing || scope.startsWith(`${thing}:`));
  });
}

export const LIFETIMES = { "": "Never", "1": "In a day", "30": "In 30 days", "90": "In 90 days", "365": "In a year", on: "At a moment …" } as const;

/** When a key that is made now ends; null for never. `on` is of an input, in the viewer's zone. */
export function expiry(lifetime: string, on: string, now: number): string | null {
  if (lifetime === "") return null;
  if (lifetime !== "on") return new Date(now + Number(lifetime) * 86_400_000).toISOString();
  const moment = Date.parse(on);
  return Number.isFinite(moment) ? new Date(moment).toISOString() : null;
}
