/** What is selected. It is told by ids, so that it holds while rows come and go. */
import type { DeliveryRow } from "./rows";

export interface Selection {
  rows: ReadonlyMap<string, DeliveryRow>;
  /** Where a range begins. */
  anchor: string | undefined;
}

export const NOTHING: Selection = { rows: new Map(), anchor: undefined };

export function toggled(selection: Selection, row: DeliveryRow): Selection {
  const rows = new Map(selection.rows);
  if (!rows.delete(row.id)) rows.set(row.id, row);
  return { rows, anchor: row.id };
}

/** All from the anchor to that row, in the order in which they are shown. Without an anchor, that row. */
export function ranged(selection: Selection, shown: readonly DeliveryRow[], row: DeliveryRow): Selection {
  const to = shown.findIndex((one) => one.id === row.id);
  const from = shown.findIndex((one) => one.id === selection.anchor);
  if (to < 0) return selection;
  if (from < 0) return { rows: new Map(selection.rows).set(row.id, row), anchor: row.id };
  const rows = new Map(selection.rows);
  for (const one of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) rows.set(one.id, one);
  return { rows, anchor: selection.anchor };
}

export function all(shown: readonly DeliveryRow[]): Selection {
  return { rows: new Map(shown.map((row) => [row.id, row])), anchor: shown[0]?.id };
}

/** With the rows as they are now. */
export function current(selection: Selection, shown: readonly DeliveryRow[]): DeliveryRow[] {
  const now = new Map(shown.map((row) => [row.id, row]));
  return [...selection.rows.values()].map((row) => now.get(row.id) ?? row);
}
