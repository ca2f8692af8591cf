/** What our words mean, in a sentence or two, for who meets them for the first time. */

export const TERMS = {
  attempts: "One attempt is one HTTP call to the receiver. A delivery takes as many as it needs until the answer is 2xx.",
  success: "Delivered ÷ (delivered + failed + expired). What arrived at a later attempt counts as delivered.",
  latency: "From the moment an event is accepted until its receiver has answered 2xx, waiting for retries included. p50: half are faster. p95: 95 of 100 are.",
  backlog: "Deliveries that are still to arrive: not sent yet, or waiting for another attempt. They lie in the database; none is lost, however many wait.",
  undelivered: "Deliveries of the last 24 hours that ended without success: all attempts used up, or too old. They stay on record, and can be sent again.",
  window: "The part of the backlog that is in memory, next to go. The rest stays in the database until there is room.",
  pace: "How fast deliveries go out. A rate limit, or a receiver that asks for a pause, slows them down.",
  tokens: "The rate limit: each attempt takes a token, and they come back at the rate. Where none is left, attempts wait.",
  breaker: "A switch in the line. After too many failures it opens: nothing is sent, and the receiver is left alone. Then single attempts probe it, and when they succeed it closes again.",
  inFlight: "Attempts that are being made right now, of as many as may be at once.",
  retries: "When the attempts of a delivery come, if each one before fails. The first is made at once.",
} as const;

export type TermName = keyof typeof TERMS;
