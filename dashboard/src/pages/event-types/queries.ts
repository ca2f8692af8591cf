import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { Problem } from "../../api/problem";
import type { EventType } from "../../api/types";
import { rawField } from "../../ui/json";

/** A row of the list: schemas and examples stay out of it. */
export interface EventTypeRow {
  name: string;
  description: string | null;
  hasSchema: boolean;
  hasExample: boolean;
  archived: boolean;
  updatedAt: string;
  /** Events of it that are kept. */
  count: number | undefined;
}

const PAGE = 100;

/** All of them: a catalogue has at most a thousand, and they are searched here. */
export const catalogueQuery = queryOptions({
  queryKey: ["event-types", "catalogue"],
  queryFn: async ({ signal }) => {
    const rows: EventTypeRow[] = [];
    const counts = data(api.GET("/api/v1/events/stats/summary", { signal }))
      .then((seen) => new Map(seen.byType.map((type) => [type.eventType, type.count])), () => undefined);
    let cursor: string | undefined;
    do {
      const page = await data(api.GET("/api/v1/event-types", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } }, signal }));
      for (const type of page.data) {
        rows.push({
          name: type.name, description: type.description ?? null, archived: type.archived, updatedAt: type.updatedAt, count: undefined,
          hasSchema: type.schema !== null && type.schema !== undefined, hasExample: type.example !== null && type.example !== undefined,
        });
      }
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    const known = await counts;
    return known ? rows.map((row) => ({ ...row, count: known.get(row.name) ?? 0 })) : rows;
  },
});

/** Schema and example as they were written; empty where there is none. */
export interface Written {
  type: Pick<EventType, "name" | "archived" | "createdAt" | "updatedAt">;
  description: string;
  schema: string;
  example: string;
}

export function written(text: string): Written {
  const type = JSON.parse(text) as EventType;
  const raw = (name: string) => {
    const found = rawField(text, name);
    return found === undefined || found === "null" ? "" : found;
  };
  return { type: { name: type.name, archived: type.archived, createdAt: type.createdAt, updatedAt: type.updatedAt }, description: type.description ?? "", schema: raw("schema"), example: raw("example") };
}

export function eventTypeQuery(name: string) {
  return queryOptions({
    queryKey: ["event-type", name],
    // Whoever edits is not overtaken by what is read meanwhile.
    refetchOnWindowFocus: false,
    queryFn: async ({ signal }) => written(await data(api.GET("/api/v1/event-types/{name}", { params: { path: { name } }, signal, parseAs: "text" } as const))),
  });
}

/** A body whose schema and example go as they were typed: numbers that JavaScript cannot hold included. */
export function bodyOf({ name, description, schema, example, archived }: { name: string; description: string; schema: string; example: string; archived?: boolean }): string {
  const rest = JSON.stringify({ name, description: description.trim() || null, ...(archived === undefined ? {} : { archived }) });
  return `${rest.slice(0, -1)},"schema":${schema.trim() || "null"},"example":${example.trim() || "null"}}`;
}

/** What the relay writes: a type as it shall be, whether it was there or not. */
export async function put(type: { name: string; description: string; schema: string; example: string; archived: boolean }) {
  return written(await data(api.PUT("/api/v1/event-types/{name}", { params: { path: { name: type.name } }, body: {}, bodySerializer: () => bodyOf(type), parseAs: "text" } as const)));
}

/**
 * What the relay says of an event of that type with that payload. It is asked by a batch whose second
 * event is none: such a batch is refused whole, whatever the first one is, so nothing is ever sent.
 */
export async function faultsOfExample(name: string, example: string): Promise<string[]> {
  const body = `[{"eventType":${JSON.stringify(name)},"payload":${example}},{}]`;
  try {
    await data(api.POST("/api/v1/events", { params: { query: { atomic: true } }, body: [], bodySerializer: () => body }));
    return [];
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.code !== "invalid-body") throw problem;
    return faultsOfFirst(problem.faults);
  }
}

/** Faults of the first event's payload, without the way to it. */
export function faultsOfFirst(faults: readonly { path: string; message: string }[]): string[] {
  return faults.filter((fault) => fault.path.startsWith("[0].payload")).map(({ path, message }) => {
    const place = path.slice("[0].payload".length).replace(/:$/, "").replace(/^\//, "");
    return place ? `${place}: ${message}` : message;
  });
}
