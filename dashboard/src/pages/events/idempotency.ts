/** Keys under which a form may be sent more than once and is accepted once. */

/** The same key for the same text, another one as soon as that is changed. */
export function oneKeyForEach(): (text: string) => string {
  let last: { text: string; key: string } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, key: `dashboard-${random()}` };
    return last.key;
  };
}

/** Not `crypto.randomUUID`, which pages without HTTPS lack. */
function random(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
