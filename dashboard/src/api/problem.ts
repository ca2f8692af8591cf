/** Refusals as the relay words them (RFC 9457; docs/errors.md), and what to do about each. */

export interface Fault {
  path: string;
  message: string;
}

/** The relay answered, and refused. */
export class Problem extends Error {
  readonly status: number;
  /** Never changes its meaning; decide by it. */
  readonly code: string;
  readonly title: string;
  readonly faults: readonly Fault[];
  /** The request's name in the relay's log. */
  readonly request: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(fields: { status: number; code: string; title: string; detail: string; faults?: readonly Fault[]; request?: string | undefined; retryAfterSeconds?: number | undefined }) {
    super(fields.detail);
    this.name = "Problem";
    this.status = fields.status;
    this.code = fields.code;
    this.title = fields.title;
    this.faults = fields.faults ?? [];
    this.request = fields.request;
    this.retryAfterSeconds = fields.retryAfterSeconds;
  }

  /** What is wrong with that field, if anything. */
  fault(path: string): string | undefined {
    const found = this.faults.find((fault) => fault.path === path);
    return found && `${path} ${found.message}`;
  }
}

/** The relay did not answer. */
export class Unreachable extends Error {
  constructor() {
    super("The relay does not answer");
    this.name = "Unreachable";
  }
}

/** Of a part that is only there where it has something: that the relay is away, a line over the page says. */
export function isWorthSaying(error: unknown): boolean {
  return !(error instanceof Unreachable);
}

/**
 * Whether a page has nothing to show: nothing was answered yet, or the thing is gone since. What is only
 * not answered now stays as it was.
 */
export function isNothing(query: { data: unknown; error: unknown; isError: boolean }): boolean {
  return query.isError && (query.data === undefined || (query.error instanceof Problem && query.error.status === 404));
}

/** Reads a refusal, also one that something between us and the relay made. */
export async function problemOf(response: Response): Promise<Problem> {
  const common = {
    status: response.status,
    request: response.headers.get("x-request-id") ?? undefined,
    retryAfterSeconds: secondsToWait(response.headers),
  };
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body === "object" && body !== null && "code" in body && typeof body.code === "string") {
    const text = (name: string, otherwise: string) => {
      const value: unknown = (body as Record<string, unknown>)[name];
      return typeof value === "string" ? value : otherwise;
    };
    const title = text("title", "Refused");
    const faults = (body as { faults?: unknown }).faults;
    return new Problem({
      ...common, code: body.code, title, detail: text("detail", title),
      faults: Array.isArray(faults) ? (faults as Fault[]) : [],
    });
  }
  return new Problem({ ...common, code: "unknown", title: `HTTP ${response.status}`, detail: response.statusText || `HTTP ${response.status}` });
}

/** `Retry-After`: the relay says seconds; what stands between may say a date, by its own clock. */
function secondsToWait(headers: Headers): number | undefined {
  const said = headers.get("retry-after")?.trim() ?? "";
  const until = Date.parse(said) - (Date.parse(headers.get("date") ?? "") || Date.now());
  const wait = /^\d+$/.test(said) ? Number(said) : Math.ceil(until / 1_000);
  return wait > 0 ? wait : undefined;
}

const ADVICE: Record<string, string> = {
  "key-required": "Sign in again.",
  "key-ended": "The key is revoked or its time is over. Sign in with another one.",
  "missing-scope": "Your account or key may not see this. An administrator can widen what it may do.",
  forbidden: "Your account or key may not do this. An administrator can widen what it may do.",
  "inactive-tenant": "Whoever administers the relay can set it active again.",
  "not-found": "It is gone, or it is not yours to see. Check the id in the address.",
  "too-many-requests": "You ask faster than you may. This page goes on by itself in a moment.",
  "too-many-keys": "Too many wrong keys came from this address. Wait, then try again.",
  internal: "This is a fault of the relay's own. Its log names the request below.",
  unavailable: "The relay's database does not answer. It keeps trying; so does this page.",
  overloaded: "A bound of the node is reached. Try again in a moment.",
  stopping: "The node is stopping. Try again once it, or another one, is there.",
};

/** For people: what happened, and what to do. */
export function adviceFor(error: unknown): { title: string; advice: string; reference?: string | undefined } {
  if (error instanceof Problem) {
    return { title: error.message, advice: ADVICE[error.code] ?? "Mend what it names, then try again.", reference: error.request };
  }
  if (error instanceof Unreachable) {
    return { title: "the relay does not answer", advice: "Check that it runs, and that your connection to it stands. This page tries again by itself." };
  }
  if (error instanceof SyntaxError) {
    return { title: "what answered is not the relay", advice: "A proxy, or a network that wants one to sign in, may stand between. Open this address in another tab, then try again." };
  }
  return { title: error instanceof Error ? error.message : "something unexpected", advice: "Reload the page. If it happens again, it is a fault of the dashboard." };
}
