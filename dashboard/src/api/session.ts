/** Who is signed in, and what they may. */
import { queryOptions } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { api, data, setCsrfToken } from "./client";
import { Problem } from "./problem";
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

export type Role = Schemas["Role"];
export type Scope = Schemas["Scope"];

/** What may be null is told all the same; the description only says that it need not be. */
type Told<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };
export type Session = Told<Schemas["CurrentSession"]>;

export type Credentials = { email: string; password: string } | { key: string };

function kept(session: Schemas["CurrentSession"]): Session {
  setCsrfToken(session.csrfToken);
  return { ...session, user: session.user ?? null, key: session.key ?? null, role: session.role ?? null, tenant: session.tenant ?? null };
}

/** Null where nobody is signed in. */
export async function readSession(): Promise<Session | null> {
  try {
    return kept(await data(api.GET("/api/v1/session")));
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 401) return null;
    throw problem;
  }
}

export async function signIn(credentials: Credentials): Promise<Session> {
  return withCookie(kept(await data(api.POST("/api/v1/session", { body: credentials }))));
}

/** Somebody who was let in, and whose cookie does not come back, would land on the sign-in page again and never know why. */
async function withCookie(session: Session): Promise<Session> {
  if (await readSession()) return session;
  setCsrfToken(undefined);
  const why = window.location.protocol === "http:" ? "the relay sets it for https alone (sessions.secure_cookies)" : "something between the browser and the relay takes it away";
  throw new Error(`You were let in, but your browser does not send the session's cookie back: it blocks cookies, or ${why}`);
}

export async function signOut(): Promise<void> {
  await data(api.DELETE("/api/v1/session"));
  setCsrfToken(undefined);
}

/** Whether the first user is still to be made. */
export async function readSetup(): Promise<{ needed: boolean }> {
  return data(api.GET("/api/v1/setup"));
}

/** Makes the first user, who is signed in by it. */
export async function setUp(body: { token: string; email: string; name: string; password: string }): Promise<Session> {
  return withCookie(kept(await data(api.POST("/api/v1/setup", { body }))));
}

/** Lets an invited user in, who is signed in by it. */
export async function acceptInvitation(body: { token: string; name: string; password: string }): Promise<Session> {
  return withCookie(kept(await data(api.POST("/api/v1/invitation", { body }))));
}

export async function changePassword(body: { current: string; password: string }): Promise<void> {
  await data(api.POST("/api/v1/session/password", { body }));
}

export const sessionQuery = queryOptions({ queryKey: ["session"], queryFn: readSession, staleTime: 60_000, gcTime: Infinity, retry: false });

const signedIn = getRouteApi("/in");

/** The session of a page that only those who are signed in see. */
export function useSession(): Session {
  return signedIn.useRouteContext().session;
}

export function allows(session: Session, scope: Scope): boolean {
  return session.scopes.includes("admin") || session.scopes.includes(scope);
}

const WORDS: Record<Scope, string> = {
  "events:read": "see events",
  "events:write": "send events",
  "subscriptions:read": "see subscriptions",
  "subscriptions:write": "change subscriptions",
  "deliveries:read": "see deliveries",
  "deliveries:write": "change deliveries",
  admin: "administer the relay",
};

/** Why this cannot be done; false where it can. For `barred` of buttons and menu items. */
export function useBarred(scope: Scope): string | false {
  const session = useSession();
  if (allows(session, scope)) return false;
  const who = session.role ? `The role ${session.role}` : "This key";
  return `${who} may not ${WORDS[scope]}`;
}
