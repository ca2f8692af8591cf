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
import { PATIENCE, reach } from "./reach";
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

const GATEWAY = new Set([502, 503, 504]);

/** A question that ends when the relay is found to be away, or soon where that is known: nobody waits for an answer that does not come. */
function givenUp(input: Request, leave: AbortSignal): Request {
  const end = reach.lost.aborted ? AbortSignal.timeout(PATIENCE) : reach.lost;
  return new Request(input, { signal: AbortSignal.any([input.signal, end, leave]) });
}

/** Ends the questions that are under way. */
let questions = new AbortController();
/** While somebody signs out: whether they came to be. */
let leaving: Promise<boolean> | undefined;

/** Does what ends the session, with no question under way: it would come back refused, as if somebody else had ended it. */
export async function leave(work: () => Promise<void>): Promise<void> {
  let tell: (isOut: boolean) => void = () => {};
  leaving = new Promise((resolve) => { tell = resolve; });
  questions.abort();
  questions = new AbortController();
  let isOut = false;
  try {
    await work();
    isOut = true;
  } finally {
    leaving = undefined;
    tell(isOut);
  }
}

async function ask(input: Request): Promise<Response> {
  for (;;) {
    // Where somebody has left, nobody waits for an answer.
    if (await leaving) return new Promise(() => {});
    const { signal } = questions;
    try {
      return await fetch(givenUp(input, signal));
    } catch (failure) {
      // Those who are still here ask again.
      if (input.signal.aborted || !signal.aborted) throw failure;
    }
  }
}

/** `fetch` as all requests of the dashboard make it. */
export async function request(input: Request): Promise<Response> {
  const asked = Date.now();
  const token = csrfToken;
  if (token && UNSAFE.has(input.method)) input.headers.set("X-CSRF-Token", token);
  let response: Response;
  try {
    response = await (UNSAFE.has(input.method) ? fetch(input) : ask(input));
  } catch (failure) {
    if (input.signal.aborted) throw failure;
    reach.doubt();
    throw new Unreachable();
  }
  if (response.ok) {
    reach.heard();
    noteServerTime(Date.parse(response.headers.get("date") ?? ""), asked, Date.now());
    return response;
  }
  const problem = await problemOf(response);
  // Something in front of the relay answers in its place.
  if (problem.code === "unknown" && GATEWAY.has(problem.status)) {
    reach.doubt();
    throw new Unreachable();
  }
  reach.heard();
  noteServerTime(Date.parse(response.headers.get("date") ?? ""), asked, Date.now());
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
