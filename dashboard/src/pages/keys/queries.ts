import { api, data } from "../../api/client";
import { endless } from "../../api/pages";

export interface KeysSearch {
  tenant?: string;
}

export function keysSearch(search: Record<string, unknown>): KeysSearch {
  const value = search["tenant"];
  const tenant = typeof value === "number" ? String(value) : value;
  return typeof tenant === "string" && tenant.trim() !== "" ? { tenant: tenant.trim().slice(0, 255) } : {};
}

export function keysQuery(search: KeysSearch) {
  return endless(["keys", search], (page, signal) => data(api.GET("/api/v1/keys", { params: { query: { ...search, ...page } }, signal })));
}
