/**
 * An attempt as a command. What may be a secret stays out: masked headers, signatures, and what stands
 * in the URL's user part and query become variables of the shell.
 */

const LEFT_OUT = new Set(["host", "content-length"]);
const SECRET = /signature|authorization|token|secret|api-?key|cookie/i;
export const MASK = "********";

const variable = (name: string) => `$${name.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}`;
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** For double quotes, so that a variable counts and nothing else does. */
const escaped = (text: string) => text.replace(/[\\"$`]/g, "\\$&");

function withoutSecrets(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return quoted(url);
  }
  const query = [...parsed.searchParams.keys()].map((name) => `${escaped(encodeURIComponent(name))}=${variable(name)}`).join("&");
  return `"${escaped(`${parsed.origin}${parsed.pathname}`)}${query ? `?${query}` : ""}"`;
}

/** `url` is not known to those who may not see subscriptions. */
export function curlOf(url: string | undefined, headers: Readonly<Record<string, string>>, body: string | undefined): string {
  const lines = [`curl -sS -X POST ${url === undefined ? '"$URL"' : withoutSecrets(url)}`];
  for (const [name, value] of Object.entries(headers)) {
    if (LEFT_OUT.has(name.toLowerCase())) continue;
    lines.push(value.includes(MASK) || SECRET.test(name) ? `-H "${escaped(name)}: ${variable(name)}"` : `-H ${quoted(`${name}: ${value}`)}`);
  }
  if (body !== undefined) lines.push(`--data-raw ${quoted(body)}`);
  return lines.join(" \\\n  ");
}
