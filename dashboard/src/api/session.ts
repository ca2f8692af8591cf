/** Who is signed in, and what they may. */
import { queryOptions } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { api, data, leave, setCsrfToken } from "./client";
import { Problem } from "./problem";
import type { components } from "./schema.gen";
import { tellOtherTabs } from "./tabs";

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
    const session = await data(api.GET("/api/v1/session"));
    if (session) return kept(session);
  } catch (problem) {
    // The cookie is of a session that has ended.
    if (!(problem instanceof Problem && problem.status === 401)) throw problem;
  }
  setCsrfToken(undefined);
  return null;
}

/** Whether it is the same person, or key, and may do the same. */
export function isSame(one: Session, other: Session): boolean {
  const who = ({ user, key, tenant, scopes }: Session) => JSON.stringify([user?.id, key?.id, tenant, scopes]);
  return who(one) === who(other);
}

/** Of somebody who has just come in. Where the cookie does not come back, they would land on the sign-in page again and never know why. */
async function begun(answer: Schemas["CurrentSession"]): Promise<Session> {
  const session = kept(answer);
  if (!await readSession()) {
    const why = window.location.protocol === "http:" ? "the relay sets it for https alone (sessions.secure_cookies)" : "something between the browser and the relay takes it away";
    throw new Error(`You were let in, but your browser does not send the session's cookie back: it blocks cookies, or ${why}`);
  }
  tellOtherTabs();
  return session;
}

export async function signIn(credentials: Credentials): Promise<Session> {
  return begun(await data(api.POST("/api/v1/session", { body: credentials })));
}

export async function signOut(): Promise<void> {
  await leave(async () => {
    await data(api.DELETE("/api/v1/session"));
  });
  setCsrfToken(undefined);
  tellOtherTabs();
}

/** Whether the first user is still to be made. */
export async function readSetup(): Promise<{ needed: boolean }> {
  return data(api.GET("/api/v1/setup"));
}

/** Makes the first user, who is signed in by it. */
export async function setUp(body: { token: string; email: string; name: string; password: string }): Promise<Session> {
  return begun(await data(api.POST("/api/v1/setup", { body })));
}

/** Lets an invited user in, who is signed in by it. */
export async function acceptInvitation(body: { token: string; name: string; password: string }): Promise<Session> {
  return begun(await data(api.POST("/api/v1/invitation", { body })));
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

/** The same of what is everybody's: no client administers it, whatever its key may. */
export function useBarredFromAll(): string | false {
  const barred = useBarred("admin");
  const { tenant } = useSession();
  return barred || (tenant !== null && "It is everybody's, and a tenant's key does not change it");
}
