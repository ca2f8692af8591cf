/**
 * The one way to the API. Its types come from the relay's OpenAPI document (`openapi.json`), so a
 * page that does not fit what the relay answers does not compile.
 *
 * Every answer that is no success becomes a `Problem`; none at all becomes `Unreachable`. Unsafe
 * methods carry the session's CSRF token. Whoever is not signed in any more is told to whom it
 * concerns (`onSignedOut`). The relay's clock is read from every answer.
 */
import createClient from "openapi-fetch";
import { noteServerTime } from "../ui/clock";
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
  const asked = Date.now();
  const token = csrfToken;
  if (token && UNSAFE.has(input.method)) input.headers.set("X-CSRF-Token", token);
  let response: Response;
  try {
    response = await fetch(input);
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "AbortError") throw failure;
    throw new Unreachable();
  }
  noteServerTime(Date.parse(response.headers.get("date") ?? ""), asked, Date.now());
  if (response.ok) return response;
  const problem = await problemOf(response);
  // Who never signed in was not signed out; nor was who has signed in since, or gave a wrong password.
  if (problem.status === 401 && problem.code !== "sign-in-refused" && token && token === csrfToken) {
    csrfToken = undefined;
    signedOut();
  }
  throw problem;
}

export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: request });

/** What was answered. Refusals were thrown before. */
export async function data<A extends { data?: unknown }>(asked: Promise<A>): Promise<Exclude<A["data"], undefined>> {
  const answer = await asked.catch((failure: unknown) => {
    // It broke off in the middle.
    throw failure instanceof TypeError ? new Unreachable() : failure;
  });
  // Nothing (204) is null for whoever reads on.
  return (answer.data ?? null) as Exclude<A["data"], undefined>;
}
