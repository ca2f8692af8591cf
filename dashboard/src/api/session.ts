/**
 * Who is signed in. The routes of sessions are not in the OpenAPI document yet, so their types
 * stand here by hand, and nowhere else.
 */
import { queryOptions } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { request, setCsrfToken } from "./client";
import { Problem } from "./problem";

export type Role = "admin" | "operator" | "viewer";
export type Scope =
  | "events:read" | "events:write" | "subscriptions:read" | "subscriptions:write"
  | "deliveries:read" | "deliveries:write" | "admin";

export interface Session {
  id: string;
  user: { id: string; email: string; name: string; role: Role } | null;
  key: { id: string; name: string } | null;
  name: string;
  /** Null where it was a key that signed in. */
  role: Role | null;
  scopes: Scope[];
  /** Whose portal it is; null for those who run the relay. */
  tenant: string | null;
  csrfToken: string;
  expiresAt: string;
}

export type Credentials = { email: string; password: string } | { key: string };

export async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  const response = await request(new Request(new URL(`/api/v1${path}`, window.location.origin), {
    method,
    ...(signal ? { signal } : {}),
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  }));
  return response.status === 204 ? null : response.json();
}

function kept(session: Session): Session {
  setCsrfToken(session.csrfToken);
  return session;
}

/** Null where nobody is signed in. */
export async function readSession(): Promise<Session | null> {
  try {
    return kept((await call("GET", "/session")) as Session);
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 401) return null;
    throw problem;
  }
}

export async function signIn(credentials: Credentials): Promise<Session> {
  return kept((await call("POST", "/session", credentials)) as Session);
}

export async function signOut(): Promise<void> {
  await call("DELETE", "/session");
  setCsrfToken(undefined);
}

/** Whether the first user is still to be made. */
export async function readSetup(): Promise<{ needed: boolean }> {
  return (await call("GET", "/setup")) as { needed: boolean };
}

/** Makes the first user, who is signed in by it. */
export async function setUp(body: { token: string; email: string; name: string; password: string }): Promise<Session> {
  return kept((await call("POST", "/setup", body)) as Session);
}

/** Lets an invited user in, who is signed in by it. */
export async function acceptInvitation(body: { token: string; name: string; password: string }): Promise<Session> {
  return kept((await call("POST", "/invitation", body)) as Session);
}

export async function changePassword(body: { current: string; password: string }): Promise<void> {
  await call("POST", "/session/password", body);
}

export const sessionQuery = queryOptions({ queryKey: ["session"], queryFn: readSession, staleTime: 60_000, retry: false });

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
