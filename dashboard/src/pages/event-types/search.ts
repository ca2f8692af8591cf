/** Which types are looked for, as it stands in the URL. */
export interface EventTypesSearch {
  q?: string;
  /** Those in use, where it is not there. */
  show?: "archived" | "all";
}

export function eventTypesSearch(search: Record<string, unknown>): EventTypesSearch {
  const found: EventTypesSearch = {};
  const q = typeof search["q"] === "number" ? String(search["q"]) : search["q"];
  if (typeof q === "string" && q.trim() !== "") found.q = q.slice(0, 255);
  if (search["show"] === "archived" || search["show"] === "all") found.show = search["show"];
  return found;
}
