/** JSON for people. Numbers and the order of fields stay as they came: it is laid out as text, never parsed and written anew. */
import type { ReactNode } from "react";

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Laid out over lines; nothing where it is no JSON. */
export function prettyJson(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let out = "";
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    const before = tokens[index - 1];
    if (token === "{" || token === "[") {
      depth += 1;
      out += token;
      if (next !== "}" && next !== "]") out += line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (before !== "{" && before !== "[") out += line();
      out += token;
    } else if (token === ",") out += `,${line()}`;
    else if (token === ":") out += ": ";
    else out += token;
  });
  return out;
}

/** With names, texts and other values told apart. */
export function colouredJson(pretty: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const match of pretty.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g)) {
    if (match.index > from) parts.push(pretty.slice(from, match.index));
    const token = match[0];
    const look = match[1] !== undefined ? "text-accent" : token.startsWith('"') ? "text-good" : "text-busy";
    parts.push(<span key={match.index} className={look}>{match[1] === undefined ? token : token.slice(0, -match[1].length)}</span>);
    if (match[1] !== undefined) parts.push(match[1]);
    from = match.index + token.length;
  }
  parts.push(pretty.slice(from));
  return parts;
}

/** The text of one field of an object, as it came. Looks at the outermost object alone. */
export function rawField(text: string, name: string): string | undefined {
  let depth = 0;
  let isName = false;
  let from: number | undefined;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    if (depth === 1 && (token === "," || token === "}")) {
      if (from !== undefined) return text.slice(from, match.index).trim();
      isName = true;
    } else if (depth === 1 && token === ":") {
      isName = false;
    } else if (depth === 1 && isName && token.startsWith('"')) {
      const found = JSON.parse(token) as string;
      if (found === name) {
        const colon = text.indexOf(":", match.index + token.length);
        from = colon + 1;
      }
    }
    if (token === "{" || token === "[") {
      depth += 1;
      if (depth === 1) isName = true;
    } else if (token === "}" || token === "]") depth -= 1;
  }
  return undefined;
}

/** What is wrong with a text that should be JSON. */
export function jsonFault(text: string): string | undefined {
  if (text.trim() === "") return "Give any JSON, at least null";
  try {
    JSON.parse(text);
    return undefined;
  } catch (failure) {
    return failure instanceof Error ? failure.message : "This is no JSON";
  }
}
