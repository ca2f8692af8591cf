import { useQuery } from "@tanstack/react-query";
import type { InstalledNode, Installation } from "../../api/types";
import { EVERY, inOrder, installationQuery, isOwned, labelOf, nameParts, troubles, usualVersion } from "../../entities/nodes";
import { useInterval } from "../../live/Live";
import { useNow } from "../../ui/clock";
import { cx } from "../../ui/class-names";
import { ErrorState, Notice, SkeletonRows } from "../../ui/Feedback";
import { brief, bytes, count, duration, exact } from "../../ui/format";
import { CopyButton } from "../../ui/Id";
import { Panel } from "../../ui/Panel";
import { Badge, State } from "../../ui/State";
import { Table, type Column } from "../../ui/Table";
import { Time } from "../../ui/Time";
import { FeedPanel, StorePanel } from "./Store";

/** All processes of the installation, who delivers, and what they share. */
export function NodesPanel() {
  const query = useQuery({ ...installationQuery, refetchInterval: useInterval(EVERY) });
  const seen = query.data;
  if (query.isError && !seen) return <Panel flush><ErrorState what="The processes" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  return (
    <div className="flex flex-col gap-3">
      {query.isError && <Notice tone="bad" icon="warning">The relay does not answer now. What you see is from <Time at={new Date(query.dataUpdatedAt).toISOString()} />.</Notice>}
      {seen && troubles(seen).map((trouble) => <Notice key={trouble.text} tone={trouble.tone} icon="warning">{trouble.text}</Notice>)}
      <Nodes seen={seen} asOf={query.dataUpdatedAt} />
      <Partitions seen={seen} asOf={query.dataUpdatedAt} />
      <div className="grid gap-3 lg:grid-cols-2">
        <FeedPanel seen={seen} />
        <StorePanel seen={seen} />
      </div>
    </div>
  );
}

/** Stands where a part could not be asked. */
export function Missing({ seen, part }: { seen: Installation; part: string }) {
  return <p className="flex items-start gap-1.5 px-3 py-2 text-bad">It cannot be shown now: {seen.missing[part] ?? "nobody said why"}.</p>;
}

function Nodes({ seen, asOf }: { seen: Installation | undefined; asOf: number }) {
  const nodes = seen?.nodes ?? [];
  const usual = usualVersion(nodes);
  const differ = nodes.some((node) => node.version !== usual);
  const columns: Column<InstalledNode>[] = [
    { key: "state", head: "State", width: "7rem", cell: (node) => <State plain state={node.state} /> },
    { key: "name", head: "Process", width: "minmax(6rem,1fr)", cell: (node) => <NodeName node={node} nodes={nodes} answers={node.name === seen?.answeredBy} /> },
    { key: "role", head: "Role", width: "3.5rem", from: "sm", cell: (node) => node.role },
    ...(differ ? [{ key: "version", head: "Version", width: "4rem", cell: (node: InstalledNode) => <Version of={node} usual={usual} /> }] : []),
    { key: "flight", head: "In flight", width: "3.75rem", align: "right", from: "sm", cell: (node) => <Of one={node.inFlight} format={count} /> },
    { key: "window", head: "Window", width: "4.5rem", align: "right", from: "lg", cell: (node) => <Of one={node.windowBytes} format={bytes} /> },
    { key: "waiting", head: "Waiting", width: "3.5rem", align: "right", from: "md", cell: (node) => <Quiet value={node.waiting} title="Events, outcomes and messages before its actors" /> },
    { key: "subscriptions", head: "Actors", width: "3rem", align: "right", from: "lg", cell: (node) => <Quiet value={node.subscriptions} title="Actors of subscriptions" /> },
    { key: "restarts", head: "Restarts", width: "3.75rem", align: "right", from: "lg", cell: (node) => <span className={node.restarts > 0 ? "font-medium text-busy" : "text-muted"}>{count(node.restarts)}</span> },
    { key: "memory", head: "Memory", width: "4.5rem", align: "right", from: "md", cell: (node) => ((node.residentBytes ?? null) === null ? "–" : bytes(node.residentBytes ?? 0)) },
    { key: "up", head: "Up for", width: "3rem", align: "right", from: "lg", cell: (node) => (node.state === "lost" ? "–" : <span title={duration(node.uptimeMs)}>{brief(node.uptimeMs)}</span>) },
    { key: "beat", head: "Last beat", width: "4.25rem", align: "right", cell: (node) => <Beat node={node} asOf={asOf} /> },
  ];
  return (
    <Panel title="Nodes" flush aside={usual && !differ && <span className="text-sm text-muted">all of version <span className="font-mono">{usual}</span></span>}>
      {!seen ? <SkeletonRows rows={3} /> : !seen.nodes ? <Missing seen={seen} part="nodes" />
        : nodes.length === 0 ? <p className="px-3 py-2 text-muted">This process has only just begun to tell of itself.</p>
          : <div className="tabular-nums"><Table label="Nodes" columns={columns} rows={inOrder(nodes)} rowKey={(node) => node.name} /></div>}
    </Panel>
  );
}

/** A process by what tells it apart; a click copies all of its name. */
function NodeName({ node, nodes, answers }: { node: InstalledNode; nodes: readonly InstalledNode[]; answers: boolean }) {
  const { listen, process } = nameParts(node.name);
  const label = labelOf(node, nodes);
  const rest = [label === node.host ? listen : node.host, process && `process ${process}`].filter((one) => one && !label.includes(one));
  return (
    <span className="flex min-w-0 items-center gap-2">
      <CopyButton text={node.name} what="Name" className="min-w-0 font-mono text-sm">{label}</CopyButton>
      {answers && <span title="It answers this page"><Badge tone="probing">here<span className="sr-only">, it answers this page</span></Badge></span>}
      {node.unwell.length > 0 && node.state !== "lost" && <Badge tone="bad">{node.unwell.join(", ")} not well</Badge>}
      {/* What is left of the room. */}
      <span className="min-w-0 flex-1 basis-0 truncate text-sm text-muted">{rest.join(", ")}</span>
    </span>
  );
}

function Version({ of, usual }: { of: InstalledNode; usual: string | undefined }) {
  const isOdd = of.version !== usual && of.state !== "lost";
  return <span className={cx("font-mono text-sm", isOdd && "font-semibold text-busy")} title={isOdd ? "Most others run another version" : undefined}>{of.version}</span>;
}

function Quiet({ value, title }: { value: number; title: string }) {
  return <span title={`${title}: ${exact(value)}`} className={value === 0 ? "text-muted" : ""}>{count(value)}</span>;
}

function Of({ one, format }: { one: { count: number; most: number }; format: (value: number) => string }) {
  return <span title={`${format(one.count)} of at most ${format(one.most)}`} className={cx(one.count === 0 && "text-muted", one.most > 0 && one.count / one.most >= 0.75 && "font-medium text-busy")}>{format(one.count)}</span>;
}

/** How long ago it told of itself: by the store's clock, and going on with ours. */
function Beat({ node, asOf }: { node: InstalledNode; asOf: number }) {
  const ago = node.unseenMs + Math.max(0, useNow() - asOf);
  return <span className={cx(node.state === "lost" && "font-medium text-bad")} title={`${duration(node.unseenMs)} before it was asked`}>{brief(ago)} ago</span>;
}

function Partitions({ seen, asOf }: { seen: Installation | undefined; asOf: number }) {
  const now = useNow();
  return (
    <Panel title="Partitions of the deliveries" flush aside={<span className="text-sm text-muted">each has one owner at a time</span>}>
      {!seen ? <SkeletonRows rows={1} /> : !seen.partitions ? <Missing seen={seen} part="partitions" /> : (
        <ul className="divide-y">
          {seen.partitions.map((partition) => {
            const owned = isOwned(partition);
            const owner = seen.nodes?.find((node) => node.name === partition.owner);
            const left = partition.leaseLeftMs ?? null;
            const rest = left === null ? null : Math.max(0, left - Math.max(0, now - asOf));
            return (
              <li key={partition.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-1.5 tabular-nums">
                <span className="w-28 font-medium">{partition.id === 0 ? "All deliveries" : `Partition ${partition.id}`}</span>
                <State plain state={owned ? "owned" : "unowned"} />
                {partition.owner && <CopyButton text={partition.owner} what="Name" className="min-w-0 font-mono text-sm">{owner ? labelOf(owner, seen.nodes ?? []) : nameParts(partition.owner).listen}</CopyButton>}
                <Badge>epoch {partition.epoch}</Badge>
                <span className="ml-auto text-sm text-muted">
                  {left === null ? (owned ? "held for as long as the process lives" : "given back") : owned ? `lease: ${brief(rest ?? 0)} left unless renewed` : "the lease has ended"}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}
