import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { scraped, type Scraped } from "./metrics";
import { watched, type Watched } from "./trail";

export const systemQuery = queryOptions({
  queryKey: ["system"],
  staleTime: 0,
  queryFn: async ({ signal, client, queryKey }): Promise<Watched> => {
    const system = await data(api.GET("/api/v1/system", { signal }));
    return watched(client.getQueryData<Watched>(queryKey), system);
  },
});

export const metricsQuery = queryOptions({
  queryKey: ["metrics"],
  staleTime: 0,
  queryFn: async ({ signal, client, queryKey }): Promise<Scraped> => {
    const text = await data(api.GET("/metrics", { signal, parseAs: "text" }));
    return scraped(client.getQueryData<Scraped>(queryKey), text, Date.now());
  },
});

export const settingsQuery = queryOptions({
  queryKey: ["settings"],
  // They are read at the start of the process.
  staleTime: 60_000,
  queryFn: async ({ signal }) => (await data(api.GET("/api/v1/system/settings", { signal }))).data,
});
