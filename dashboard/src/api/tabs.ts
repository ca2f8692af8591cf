/**
 * The tabs of one browser share the cookie: where one signs in or out, the others are somebody else
 * from then on. They tell each other that something changed, and nothing of what.
 */
const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("posthaste.session");

export function tellOtherTabs() {
  channel?.postMessage("changed");
}

export function onOtherTab(act: () => void) {
  channel?.addEventListener("message", act);
}
