// @vitest-environment jsdom
import { expect, it } from "vitest";
import type { Scope, Session } from "../api/session";
import { maySee, neededFor, PLACES } from "./places";

const CLIENT: readonly Scope[] = ["subscriptions:read", "subscriptions:write", "deliveries:read", "deliveries:write", "events:read"];
const VIEWER: readonly Scope[] = ["subscriptions:read", "deliveries:read", "events:read"];

const session = (scopes: readonly Scope[], tenant: string | null = null) => ({ scopes, tenant }) as Session;
const opens = (who: Session, path: string) => {
  const needed = neededFor(path);
  return needed === undefined || maySee(who, needed);
};

it.each(["/keys", "/tenants", "/tenants/acme", "/users", "/audit", "/system", "/events/send", "/new/event-type"])("keeps %s from clients and viewers", (path) => {
  expect(opens(session(CLIENT, "acme"), path)).toBe(false);
  expect(opens(session(VIEWER), path)).toBe(false);
  expect(opens(session(["admin"]), path)).toBe(true);
});

it("keeps what is everybody's from clients, whatever their key may", () => {
  const of = (path: string) => opens(session(["admin"], "acme"), path);
  expect(["/system", "/tenants", "/users", "/new/event-type"].filter(of)).toEqual([]);
  expect(["/keys", "/audit", "/events/send"].filter(of)).toHaveLength(3);
});

it("keeps forms from those who may not send them, and shows the thing itself", () => {
  const viewer = session(VIEWER);
  expect(["/subscriptions/new", "/subscriptions/0af/edit"].filter((path) => opens(viewer, path))).toEqual([]);
  expect(["/", "/subscriptions", "/subscriptions/0af", "/events/0af", "/event-types/job.created", "/deliveries", "/account"].every((path) => opens(viewer, path))).toBe(true);
  expect(opens(session(CLIENT, "acme"), "/subscriptions/0af/edit")).toBe(true);
});

it("asks nothing of one's own account, and for every place what it says", () => {
  expect(neededFor("/account")).toBeUndefined();
  for (const place of PLACES) expect(neededFor(place.to)).toBe(place);
  expect(opens(session([]), "/")).toBe(false);
});
