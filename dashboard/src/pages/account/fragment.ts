/**
 * A key that came behind the # of a link to the sign-in page. It is taken out of the address at
 * once, so that it stays in no history and on no screen; it is used only when the person says so.
 */
let taken: string | undefined;

/** Takes the key out of the address, where there is one. */
export function takeKey(): void {
  const { pathname, search, hash } = window.location;
  if (!pathname.endsWith("/sign-in")) return;
  const key = new URLSearchParams(hash.slice(1)).get("key");
  if (key === null) return;
  window.history.replaceState(window.history.state, "", pathname + search);
  taken = key.trim() || undefined;
}

/** What was taken, until it is forgotten. */
export function takenKey(): string | undefined {
  return taken;
}

export function forgetKey(): void {
  taken = undefined;
}
