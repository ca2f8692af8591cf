import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { allows, useSession } from "../../api/session";
import type { InstalledNode, Overview } from "../../api/types";
import { EVERY, inOrder, installationQuery, isOwned, labelOf } from "../../entities/nodes";
import { useInterval } from "../../live/Live";
import { Skeleton } from "../../ui/Feedback";
import { brief, count } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { State } from "../../ui/State";

/** Nodes that are named; what they are all together, the page of the system shows. */
const MOST_NODES = 6;

/** The parts of the process that answers, and all processes, in a line each. */
export function HealthPanel({ seen }: { seen: Overview | undefined }) {
  const session = useSession();
  const administers = allows(session, "admin") && session.tenant === null;
  const nodes = useQuery({ ...installationQuery, enabled: administers, refetchInterval: useInterval(EVERY) });
  const parts = Object.entries(seen?.health.components ?? {});
  return (
    <Panel title={administers ? <Link to="/system" className="hover:underline">Health</Link> : "Health"} flush aside={seen && <State state={seen.health.status} />}>
      {!seen ? <div className="p-3"><Skeleton className="h-20 w-full" /></div> : (
        <ul className="divide-y">
          {administers && <Nodes nodes={nodes.data?.nodes ?? []} owned={nodes.data?.partitions?.every(isOwned) ?? true} />}
          {parts.map(([name, part]) => (
            <li key={name} className="flex min-h-8 items-center gap-3 px-3 py-1">
              <span className="w-24 shrink-0 capitalize">{name.replaceAll("_", " ")}</span>
              <span className="min-w-0 flex-1 truncate text-sm text-muted" title={part.detail ?? undefined}>{part.detail}</span>
              <State plain state={part.ok ? "ok" : "unavailable"} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Nodes({ nodes, owned }: { nodes: readonly InstalledNode[]; owned: boolean }) {
  // Whoever is lost is what one looks for.
  const lost = nodes.filter((node) => node.state === "lost");
  const shown = [...lost, ...inOrder(nodes).filter((node) => node.state !== "lost")].slice(0, MOST_NODES);
  const left = nodes.length - shown.length;
  return (
    <>
      {!owned && <li className="px-3 py-1.5 font-medium text-bad">No process delivers: events are accepted and wait.</li>}
      {shown.map((node) => (
        <li key={node.name} className="flex min-h-8 items-center gap-3 px-3 py-1">
          <Link to="/system" search={{ tab: "nodes" }} title={node.name} className="min-w-24 max-w-48 shrink-0 truncate font-mono text-sm hover:underline">{labelOf(node, nodes)}</Link>
          <span className="min-w-0 flex-1 truncate text-sm tabular-nums text-muted">
            {node.state === "lost" ? `for ${brief(node.unseenMs)}` : node.unwell.length > 0 ? `${node.unwell.join(", ")} not well` : `${count(node.inFlight.count)} in flight`}
          </span>
          <State plain state={node.state} />
        </li>
      ))}
      {left > 0 && <li className="px-3 py-1 text-sm text-muted"><Link to="/system" search={{ tab: "nodes" }} className="hover:underline">and {left} more nodes</Link></li>}
    </>
  );
}
