/** What an attempt came to, in words: what happened, and what to do about it. */
import type { Attempt, Delivery } from "../../api/types";

export interface Said {
  what: string;
  advice: string;
}

const FAILED: Record<string, Said> = {
  timeout: {
    what: "The receiver did not answer within its time.",
    advice: "A receiver should store the message, answer 2xx at once and work afterwards. If it needs longer, raise the subscription's timeout.",
  },
  name: {
    what: "The host's name could not be resolved.",
    advice: "Check the URL for a misspelt host, and that its DNS entry exists and is public.",
  },
  connect: {
    what: "No connection could be made.",
    advice: "Check that the receiver runs, that the port in the URL is right, and that a firewall lets the relay in.",
  },
  tls: {
    what: "The TLS handshake failed.",
    advice: "Check that the receiver's certificate has not expired, names this host, and comes with its whole chain.",
  },
  reset: {
    what: "The connection broke before there was a whole answer.",
    advice: "The receiver, or a proxy before it, crashed, restarted or gave up. It may have got the message: let it drop what it has seen, by webhook-id.",
  },
  protocol: {
    what: "What came back is no valid HTTP, or its head is too large.",
    advice: "Check that the URL's scheme and port lead to an HTTP server, and that it sends no oversized headers.",
  },
  address_refused: {
    what: "The address is one that the relay does not call.",
    advice: "Private, local and reserved addresses are refused, so that nobody reaches inside. Whoever runs the relay can allow a network in its settings.",
  },
  request: {
    what: "The request could not be made.",
    advice: "Check the subscription's URL and headers: one of them cannot be sent as it is.",
  },
  internal: {
    what: "The attempt failed inside of the relay.",
    advice: "This is no fault of the receiver. The relay's log says more; the delivery goes on by its schedule.",
  },
};

/** Every kind of failure without an answer. */
export const FAILURE_WORDS: Readonly<Record<string, Said>> = FAILED;

const STATUS: Record<number, Said> = {
  400: { what: "The receiver says that the message is malformed.", advice: "Its log should say what it misses. Compare the body as sent with what it expects." },
  401: { what: "The receiver did not accept who sent it.", advice: "Most often it checks the signature with another secret. Compare secrets, or rotate: both are valid for a while." },
  403: { what: "The receiver refused the sender.", advice: "Check its signature check, its allowed addresses, and any firewall or bot protection before it." },
  404: { what: "There is nothing at this URL.", advice: "Check the path in the subscription's URL; the receiver's route may have moved." },
  405: { what: "The receiver takes no POST at this URL.", advice: "Webhooks are sent by POST. Check that the URL leads to the right route." },
  408: { what: "The receiver waited too long for the request.", advice: "It is likely overloaded, or a proxy before it is. It is tried again." },
  409: { what: "The receiver says that it conflicts with what it has.", advice: "If it has seen the message already, it should answer 2xx." },
  410: { what: "The receiver says that it is gone for good.", advice: "The subscription is deactivated by this. Give it another URL and reactivate it, or delete it." },
  413: { what: "The message is larger than the receiver takes.", advice: "Raise the receiver's limit for bodies, or send less in the event." },
  415: { what: "The receiver does not take this content type.", advice: "Compare content-type below with what it takes; the subscription's payload format decides it." },
  422: { what: "The receiver understood the message and cannot use it.", advice: "Its log should say what it misses. The same message will fail again until that is mended." },
  429: { what: "The receiver gets more than it takes.", advice: "Give the subscription a rate limit below what the receiver takes. A Retry-After is honoured." },
  500: { what: "The receiver failed inside.", advice: "Its log says why. The message is tried again." },
  502: { what: "A proxy before the receiver got no valid answer from it.", advice: "Check that the receiver behind the proxy runs." },
  503: { what: "The receiver is not available now.", advice: "It is overloaded or restarting. A Retry-After is honoured; it is tried again." },
  504: { what: "A proxy before the receiver waited too long for it.", advice: "The receiver should answer first and work afterwards." },
};

/** Nothing for what went well. */
export function saidOf(attempt: { status?: number | null | undefined; errorKind?: string | null | undefined }): Said | undefined {
  const { status, errorKind } = attempt;
  if (errorKind && errorKind !== "status") return FAILED[errorKind] ?? { what: `It failed: ${errorKind.replaceAll("_", " ")}.`, advice: "The relay's log says more." };
  if (status === null || status === undefined || (status >= 200 && status < 300)) return undefined;
  const known = STATUS[status];
  if (known) return known;
  if (status < 400) return { what: "The receiver points elsewhere.", advice: "Redirects are never followed. Give the subscription the URL where it points to (location, below)." };
  if (status < 500) return { what: "The receiver refused the message.", advice: "Its log should say why. Only 2xx counts as received." };
  return { what: "The receiver, or a proxy before it, failed.", advice: "Its log says why. The message is tried again." };
}

const TRIGGERS: Record<string, string> = {
  schedule: "by schedule",
  manual: "by hand or by a job",
  probe: "as a probe of the breaker",
  trial: "as a trial while deactivated",
};

export function triggerWords(trigger: string): string {
  return TRIGGERS[trigger] ?? `by ${trigger}`;
}

export function isGood(attempt: Pick<Attempt, "status" | "errorKind">): boolean {
  return !attempt.errorKind && typeof attempt.status === "number" && attempt.status >= 200 && attempt.status < 300;
}

/** Whether a tenth of an answer or more is bytes that are no text; the relay puts � in their place. */
export function isBinary(answer: string): boolean {
  const isLost = (letter: string) => letter === "\uFFFD" || (letter < " " && !"\t\n\r\f\v".includes(letter));
  const lost = [...answer].filter(isLost).length;
  return lost > 0 && lost * 10 >= answer.length;
}

/** Why the delivery is where it is, in one sentence. */
export function stateWords(delivery: Pick<Delivery, "status" | "attemptCount" | "round" | "errorKind" | "error">): string {
  const tries = delivery.attemptCount === 1 ? "one attempt" : `${delivery.attemptCount} attempts`;
  switch (delivery.status) {
    case "pending":
      if (delivery.attemptCount === 0) return "It has not been attempted yet.";
      return delivery.error ? `After ${tries} it is still to arrive: ${delivery.error}.` : `It is to be sent again, after ${tries}.`;
    case "delivered":
      return delivery.attemptCount === 1 ? "The receiver took it at the first attempt." : `The receiver took it, after ${tries}.`;
    case "failed":
      return `All attempts of its schedule are used up${delivery.error ? `; the last one: ${delivery.error}` : ""}. Nothing more happens by itself.`;
    case "expired":
      return `It became too old before it could arrive, after ${delivery.attemptCount === 0 ? "no attempt" : tries}. Nothing more happens by itself.`;
    case "cancelled":
      return "Somebody cancelled it, or its subscription was deleted. It can be sent again, unless that is so.";
    case "skipped":
      return "It was passed over: more was held than may be, or somebody let its line go on without it. It can be sent again.";
    default:
      return "";
  }
}
