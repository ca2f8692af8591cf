// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { api, data, onSignedOut, request, setCsrfToken } from "./client";
import { adviceFor, isNothing, Problem, Unreachable } from "./problem";
import { isWorthRetrying, retryDelay } from "./retry";
import { readSession, signOut } from "./session";

const signedOut = vi.fn();
let answer: (asked: Request) => Response | Promise<Response>;

beforeEach(() => {
  signedOut.mockClear();
  onSignedOut(signedOut);
  setCsrfToken("token");
  vi.stubGlobal("fetch", (asked: Request) => Promise.resolve(asked).then((one) => answer(one)));
});
afterEach(() => vi.unstubAllGlobals());

const refusal = (status: number, code: string, headers: Record<string, string> = {}) => new Response(JSON.stringify({ code, title: "T", detail: "D" }), { status, headers: { "content-type": "application/problem+json", ...headers } });
const refused = async (asked: Promise<unknown>) => asked.then(() => expect.unreachable("it was not refused"), (error: unknown) => error);
const look = () => data(api.GET("/api/v1/setup"));
const post = (path: string) => request(new Request(`http://relay${path}`, { method: "POST" }));

it("sends the second token with changes, and with nothing else", async () => {
  const sent: (string | null)[] = [];
  answer = (asked) => {
    sent.push(asked.headers.get("x-csrf-token"));
    return new Response("{}");
  };
  await look();
  await post("/api/v1/events");
  expect(sent).toEqual([null, "token"]);
});

it("tells once of a session that ended, not of a wrong password, nor after somebody signed in anew", async () => {
  answer = () => refusal(401, "sign-in-refused");
  await refused(post("/api/v1/session"));
  answer = () => {
    // It was on its way when they signed in.
    setCsrfToken("newer");
    return refusal(401, "session-ended");
  };
  await refused(look());
  expect(signedOut).not.toHaveBeenCalled();
  answer = () => refusal(401, "session-ended");
  await Promise.all([refused(look()), refused(look())]);
  expect(signedOut).toHaveBeenCalledTimes(1);
});

it("asks nothing while somebody signs out, and asks again where they stay", async () => {
  const seen: string[] = [];
  let left = () => {};
  // What is asked for is not answered before it is given up; the end of the session when it is told to.
  const relay = (out: () => Response) => (asked: Request) => {
    seen.push(asked.method);
    if (asked.method === "DELETE") return new Promise<Response>((resolve) => { left = () => resolve(out()); });
    return new Promise<Response>((_, reject) => asked.signal.addEventListener("abort", () => reject(asked.signal.reason as Error)));
  };
  const answered = vi.fn();
  answer = relay(() => refusal(503, "unavailable"));
  const early = look();
  await vi.waitFor(() => expect(seen).toEqual(["GET"]));
  const staying = refused(signOut());
  const late = look();
  await vi.waitFor(() => expect(seen).toEqual(["GET", "DELETE"]));
  answer = () => new Response("{}", { headers: { "content-type": "application/json" } });
  left();
  await staying;
  expect(await Promise.all([early, late])).toEqual([{}, {}]);

  answer = relay(() => new Response(null, { status: 204 }));
  void look().then(answered, answered);
  await vi.waitFor(() => expect(seen).toEqual(["GET", "DELETE", "GET"]));
  const leaving = signOut();
  void look().then(answered, answered);
  await vi.waitFor(() => expect(seen).toEqual(["GET", "DELETE", "GET", "DELETE"]));
  answer = () => new Response("{}", { headers: { "content-type": "application/json" } });
  left();
  await leaving;
  // Who comes next is answered; those before wait for ever.
  expect(await look()).toEqual({});
  expect(answered).not.toHaveBeenCalled();
  expect(signedOut).not.toHaveBeenCalled();
});

it("takes that nobody is signed in as an answer", async () => {
  answer = () => new Response("null", { headers: { "content-type": "application/json" } });
  expect(await readSession()).toBeNull();
  answer = () => refusal(401, "session-ended");
  expect(await readSession()).toBeNull();
  answer = () => refusal(503, "unavailable");
  expect(await refused(readSession())).toBeInstanceOf(Problem);
});

it("says what happened where a proxy answers instead of the relay", async () => {
  answer = () => new Response("<html>Bad gateway</html>", { status: 502, statusText: "Bad Gateway" });
  // What stands in front says that the relay is away, and nothing of the relay's.
  expect(await refused(look())).toBeInstanceOf(Unreachable);
  answer = () => new Response("<html>No such site</html>", { status: 421, statusText: "Misdirected Request" });
  expect(await refused(look())).toMatchObject({ status: 421, code: "unknown", message: "Misdirected Request" });
  answer = () => new Response("<html>Sign in to the network</html>", { headers: { "content-type": "text/html" } });
  expect(adviceFor(await refused(look())).title).toBe("what answered is not the relay");
  answer = () => new Response(new ReadableStream({ start: (to) => to.error(new TypeError("network error")) }));
  expect(await refused(look())).toBeInstanceOf(Unreachable);
  answer = () => Promise.reject(new TypeError("Failed to fetch"));
  expect(await refused(look())).toBeInstanceOf(Unreachable);
});

it("waits as long as it is told to, by seconds or by a date of their clock", async () => {
  const waits = async (after: string) => {
    answer = () => refusal(429, "too-many-requests", { "retry-after": after, date: "Sun, 22 Nov 2026 22:00:00 GMT" });
    return (await refused(look()) as Problem).retryAfterSeconds;
  };
  expect([await waits("7"), await waits("Sun, 22 Nov 2026 22:00:12 GMT"), await waits("Sun, 22 Nov 2026 21:00:00 GMT"), await waits("soon"), await waits("0")]).toEqual([7, 12, undefined, undefined, undefined]);
});

it("asks once more where that may help, and never what was refused for good", () => {
  const problem = (status: number, retryAfterSeconds?: number) => new Problem({ status, code: "c", title: "t", detail: "d", retryAfterSeconds });
  expect([403, 404, 409, 413].map((status) => isWorthRetrying(0, problem(status)))).toEqual([false, false, false, false]);
  expect([429, 500, 503].map((status) => isWorthRetrying(0, problem(status)))).toEqual([true, true, true]);
  expect([isWorthRetrying(1, new Unreachable()), isWorthRetrying(2, new Unreachable())]).toEqual([true, false]);
  expect([retryDelay(0, problem(429, 7)), retryDelay(0, problem(503, 3_600)), retryDelay(0, new Unreachable()), retryDelay(9, new Unreachable())]).toEqual([7_000, 30_000, 1_000, 5_000]);
});

it("shows what is gone as gone, and what only cannot be read now as it was", () => {
  const problem = (status: number) => new Problem({ status, code: "c", title: "t", detail: "d" });
  expect(isNothing({ data: {}, error: problem(404), isError: true })).toBe(true);
  expect(isNothing({ data: {}, error: problem(503), isError: true })).toBe(false);
  expect(isNothing({ data: {}, error: new Unreachable(), isError: true })).toBe(false);
  expect(isNothing({ data: undefined, error: new Unreachable(), isError: true })).toBe(true);
  expect(isNothing({ data: undefined, error: null, isError: false })).toBe(false);
});
