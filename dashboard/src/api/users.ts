/** Users and open sessions, as pages ask for them. */
import { api, data } from "./client";
import type { components } from "./schema.gen";
import type { Role } from "./session";

export type User = components["schemas"]["User"];
export type InvitedUser = components["schemas"]["InvitedUser"];
export type OpenSession = components["schemas"]["Session"];

const one = (id: string) => ({ path: { id } });

export function listUsers(page: { limit: number; cursor?: string }, signal: AbortSignal) {
  return data(api.GET("/api/v1/users", { params: { query: page }, signal }));
}

export function inviteUser(body: { email: string; role: Role; name?: string }): Promise<InvitedUser> {
  return data(api.POST("/api/v1/users", { body }));
}

/** Another link for somebody who has not come yet, or who lost the password. */
export function newLink(id: string): Promise<InvitedUser> {
  return data(api.POST("/api/v1/users/{id}/password", { params: one(id), body: {} }));
}

export function changeUser(id: string, body: { name?: string; role?: Role; disabled?: boolean }): Promise<User> {
  return data(api.PATCH("/api/v1/users/{id}", { params: one(id), body }));
}

export async function deleteUser(id: string): Promise<void> {
  await data(api.DELETE("/api/v1/users/{id}", { params: one(id) }));
}

export function listSessions(user: string | undefined, signal: AbortSignal) {
  return data(api.GET("/api/v1/sessions", { params: { query: { limit: 100, ...(user === undefined ? {} : { user }) } }, signal }));
}

export async function endSession(id: string): Promise<void> {
  await data(api.DELETE("/api/v1/sessions/{id}", { params: one(id) }));
}
