import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { endless } from "../../api/pages";

export const tenantsQuery = endless(["tenants"], (page, signal) => data(api.GET("/api/v1/tenants", { params: { query: page }, signal })));

export function tenantQuery(id: string) {
  return queryOptions({ queryKey: ["tenant", id], queryFn: ({ signal }) => data(api.GET("/api/v1/tenants/{id}", { params: { path: { id } }, signal })) });
}
