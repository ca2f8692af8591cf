/** A text that is looked for, as it stands in a URL. */

/** So much as the API takes, in characters. */
const LONGEST = 255;

/** Nothing where there is none. A search for digits alone comes out of the URL as a number. */
export function searchText(value: unknown): string | undefined {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || text.trim() === "") return undefined;
  // By characters: half of one, as of an emoji, could not be sent.
  return [...text.trim()].slice(0, LONGEST).join("").replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "");
}
