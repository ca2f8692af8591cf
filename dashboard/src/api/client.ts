/**
 * The one way to the API. Its types come from the relay's OpenAPI document (`openapi.json`), so a
 * page that does not fit what the relay answers does not compile.
 *
 * Every answer that is no success becomes a `Problem`; none at all becomes `Unreachable`. Unsafe
 * methods carry the session's CSRF token. Whoever is not signed in any more is told to whom it
 * concerns (`onSignedOut`).
 */
import createClient from "openapi-fetch";
import { problemOf, Unreachable } from "./problem";
import type { paths } from "./schema.gen";

let csrfToken: string | undefined;
let signedOut = () => {};

/** Kept in memory only. */
export function setCsrfToken(token: string | undefined) {
  csrfToken = token;
}

/** Called when the relay no longer knows us. */
export function onSignedOut(tell: () => void) {
  signedOut = tell;
}

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** `fetch` as all requests of the dashboard make it. */
export async function request(input: Request): Promise<Response> {
  if (csrfToken && UNSAFE.has(input.method)) input.headers.set("X-CSRF-Token", csrfToken);
  let response: Response;
  try {
    response = await fetch(input);
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "AbortError") throw failure;
    throw new Unreachable();
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  // Who never signed in, was not signed out.
  if (problem.status === 401 && csrfToken) {
    csrfToken = undefined;
    signedOut();
  }
  throw problem;
}

export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: request });

/** What was answered. Refusals were thrown before. */
export async function data<A extends { data?: unknown }>(asked: Promise<A>): Promise<NonNullable<A["data"]>> {
  const answer = await asked;
  // Nothing (204) is null for whoever reads on.
  return (answer.data ?? null) as NonNullable<A["data"]>;
}
