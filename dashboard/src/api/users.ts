/**
 * Users and sessions. Their routes are not in the OpenAPI document yet, so their types stand here by
 * hand, and nowhere else.
 */
import { call, type Role } from "./session";

export interface User {
  id: string;
  email: string;
  name: string;
  role: Role;
  state: "active" | "invited" | "disabled";
  disabled: boolean;
  lastSignInAt: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface Invitation {
  token: string;
  path: string;
  expiresAt: string;
}

export type InvitedUser = User & { invitation: Invitation | null };

export interface OpenSession {
  id: string;
  user: { id: string; email: string; name: string; role: Role } | null;
  key: { id: string; name: string } | null;
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
  address: string;
  userAgent: string | null;
  current: boolean;
}

interface Listed<T> {
  data: T[];
  nextCursor: string | null;
}

const path = (id: string) => `/users/${encodeURIComponent(id)}`;

export async function listUsers(page: { limit: number; cursor?: string }, signal: AbortSignal): Promise<Listed<User>> {
  return (await call("GET", `/users?${query(page)}`, undefined, signal)) as Listed<User>;
}

export async function inviteUser(body: { email: string; role: Role; name?: string }): Promise<InvitedUser> {
  return (await call("POST", "/users", body)) as InvitedUser;
}

/** Another link for somebody who has not come yet, or who lost the password. */
export async function newLink(id: string): Promise<InvitedUser> {
  return (await call("POST", `${path(id)}/password`, {})) as InvitedUser;
}

export async function changeUser(id: string, body: { name?: string; role?: Role; disabled?: boolean }): Promise<User> {
  return (await call("PATCH", path(id), body)) as User;
}

export async function deleteUser(id: string): Promise<void> {
  await call("DELETE", path(id));
}

export async function listSessions(user: string | undefined, signal: AbortSignal): Promise<Listed<OpenSession>> {
  return (await call("GET", `/sessions?${query({ limit: 100, ...(user === undefined ? {} : { user }) })}`, undefined, signal)) as Listed<OpenSession>;
}

export async function endSession(id: string): Promise<void> {
  await call("DELETE", `/sessions/${encodeURIComponent(id)}`);
}

function query(parameters: Record<string, string | number>): string {
  return new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)])).toString();
}
