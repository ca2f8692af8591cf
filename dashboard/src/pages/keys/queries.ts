import { api, data } from "../../api/client";
import { endless } from "../../api/pages";
import { searchText } from "../search-text";

export interface KeysSearch {
  tenant?: string;
}

export function keysSearch(search: Record<string, unknown>): KeysSearch {
  const tenant = searchText(search["tenant"]);
  return tenant ? { tenant } : {};
}

export function keysQuery(search: KeysSearch) {
  return endless(["keys", search], (page, signal) => data(api.GET("/api/v1/keys", { params: { query: { ...search, ...page } }, signal })));
}
