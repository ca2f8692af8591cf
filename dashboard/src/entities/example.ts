/** What is taught by: an event, and a receiver that is there. */

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** The relay is on this machine, most likely to be tried. */
export const IS_HERE = LOOPBACK.test(window.location.hostname);

/** Beside a relay on this machine the one of `posthaste receive`, which `serve --dev` calls. */
export const EXAMPLE_RECEIVER = IS_HERE ? "http://127.0.0.1:9000/" : "https://example.com/webhooks";

export const EXAMPLE_EVENT = { eventType: "job.created", payload: { jobId: "123" } } as const;
