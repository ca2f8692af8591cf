/** The processes of the installation, as pages show them. */
import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../api/client";
import type { InstalledNode, Installation } from "../api/types";

/** Processes tell of themselves every 5 s; nothing of it is told by the stream. */
export const EVERY = 3_000;

export const installationQuery = queryOptions({
  queryKey: ["installation"],
  staleTime: 0,
  queryFn: ({ signal }) => data(api.GET("/api/v1/system/nodes", { signal })),
});

/** The parts of a process's name that people tell it apart by: where it listens, and its id there. */
export function nameParts(name: string): { listen: string; process: string } {
  const found = /^process (\d+) listening on (\S+) \(/.exec(name);
  return { listen: found?.[2] ?? name, process: found?.[1] ?? "" };
}

/** What tells a process apart from the other living ones: where it listens, its machine, or both. */
export function labelOf(node: InstalledNode, nodes: readonly InstalledNode[]): string {
  const listen = (one: InstalledNode) => nameParts(one.name).listen;
  const others = nodes.filter((one) => one.state !== "lost" && one.name !== node.name);
  if (!node.host || others.every((one) => listen(one) !== listen(node))) return listen(node);
  return others.every((one) => one.host !== node.host) ? node.host : `${node.host} ${listen(node)}`;
}

/** What is wrong with the whole, worst first; nothing where all is well. */
export function troubles(seen: Installation): { tone: "bad" | "busy"; text: string }[] {
  const nodes = seen.nodes ?? [];
  const live = nodes.filter((node) => node.state !== "lost");
  const found: { tone: "bad" | "busy"; text: string }[] = [];
  if (seen.partitions?.some((partition) => !isOwned(partition))) {
    found.push({ tone: "bad", text: "No process delivers. Events are accepted and wait; start a process of the role all or deliver." });
  }
  const lost = nodes.length - live.length;
  if (lost > 0) found.push({ tone: "busy", text: `${lost === 1 ? "One process is" : `${lost} processes are`} lost: not heard of for three beats, and not stopped by anybody. Its lease goes to one that stands by; what it had in flight is sent again.` });
  const versions = [...new Set(live.map((node) => node.version))];
  if (versions.length > 1) found.push({ tone: "busy", text: `${versions.length} versions run side by side: ${versions.join(", ")}.` });
  return found;
}

/** Whether somebody has it who may deliver now. */
export function isOwned(partition: { owner?: string | null; leaseLeftMs?: number | null }): boolean {
  return (partition.owner ?? null) !== null && partition.leaseLeftMs !== 0;
}

const ORDER = ["delivering", "standby", "ingest", "lost"];

/** By what they do, then by name: so a row moves only where its process does something else. */
export function inOrder(nodes: readonly InstalledNode[]): InstalledNode[] {
  return [...nodes].sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state) || (one.name < other.name ? -1 : 1));
}

/** The version that most of those run which are not lost. */
export function usualVersion(nodes: readonly InstalledNode[]): string | undefined {
  const counts = new Map<string, number>();
  for (const node of nodes) if (node.state !== "lost") counts.set(node.version, (counts.get(node.version) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0];
}
