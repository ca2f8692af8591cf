import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { System } from "../../api/types";
import { useInterval } from "../../live/Live";
import { ErrorState, Notice, Skeleton } from "../../ui/Feedback";
import { bytes, count, duration } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { Facts, Figure, PageHead, Panel } from "../../ui/Panel";
import { Badge, State } from "../../ui/State";
import { Tabs } from "../../ui/Tabs";
import { Time } from "../../ui/Time";
import { Gauges } from "./Gauges";
import { MetricsPanel } from "./Metrics";
import { NodesPanel } from "./Nodes";
import { systemQuery } from "./queries";
import { SettingsPanel } from "./Settings";
import { Tree } from "./Tree";

const route = getRouteApi("/in/system");
/** Nothing of this is told by the stream. */
const EVERY = 2_000;

/** The process that answers: what runs in it, how loaded it is, and by which settings; and all the others. */
export function SystemPage() {
  const { tab = "running" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageHead title="System" actions={<Outside href="/health">Health</Outside>} />
      <Tabs
        bare label="What is shown" value={tab}
        onChange={(next) => void navigate({ search: next === "running" ? {} : { tab: next }, replace: true })}
        tabs={[
          { value: "running", label: "This process", content: <div className="pt-3"><Running /></div> },
          { value: "nodes", label: "Nodes and store", content: <div className="pt-3"><NodesPanel /></div> },
          { value: "metrics", label: "Metrics", content: <div className="pt-3"><MetricsPanel /></div> },
          { value: "settings", label: "Settings in force", content: <div className="pt-3"><SettingsPanel /></div> },
        ]}
      />
    </>
  );
}

function Outside({ href, children }: { href: string; children: string }) {
  return (
    <a href={href} target="_blank" rel="noopener" className="inline-flex h-7 items-center gap-1.5 rounded border border-edge/60 bg-panel px-2.5 font-medium hover:bg-sunken">
      <Icon name="open" size={14} />{children}<span className="sr-only"> (opens another tab)</span>
    </a>
  );
}

function Running() {
  const query = useQuery({ ...systemQuery, refetchInterval: useInterval(EVERY) });
  const seen = query.data;
  if (query.isError && !seen) return <Panel flush><ErrorState what="The system" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  return (
    <div className="flex flex-col gap-3">
      {query.isError && <Notice tone="bad" icon="warning">The relay does not answer now. What you see is from <Time at={new Date(query.dataUpdatedAt).toISOString()} />.</Notice>}
      <Strip system={seen?.system} />
      <Gauges seen={seen} />
      <div className="grid gap-3 xl:grid-cols-[minmax(0,1fr)_20rem]">
        <Tree system={seen?.system} />
        <div className="grid min-w-0 content-start gap-3 md:grid-cols-2 xl:grid-cols-1">
          <Components system={seen?.system} />
          <About system={seen?.system} />
        </div>
      </div>
    </div>
  );
}

const STRIP = "grid grid-cols-2 gap-px overflow-hidden rounded-md border bg-line sm:grid-cols-3 xl:grid-cols-6 [&>*]:bg-panel [&>*]:px-3 [&>*]:py-2";

function Strip({ system }: { system: System | undefined }) {
  if (!system) return <div className={STRIP}>{Array.from({ length: 6 }, (_, index) => <div key={index} className="h-[4.6rem]"><Skeleton className="mb-2 h-3 w-16" /><Skeleton className="h-5 w-20" /></div>)}</div>;
  const { node, ownership, health, actors, subscriptions } = system;
  const restarts = actors.reduce((sum, actor) => sum + actor.restarts, 0) + subscriptions.restarts;
  const bad = Object.values(health.components).filter((part) => !part.ok).length;
  return (
    <dl className={STRIP}>
      <Figure name="Health" value={<span className="inline-flex align-middle text-lg"><State plain state={health.status} /></span>} note={bad === 0 ? "all parts are well" : `${bad} ${bad === 1 ? "part is" : "parts are"} not well`} />
      <Figure name="Deliveries" value={ownership.delivers ? "Here" : "Elsewhere"} note={ownership.epoch === null || ownership.epoch === undefined ? "never delivered here" : `epoch ${ownership.epoch}`} />
      <Figure name="Up for" value={duration(Math.floor(node.uptimeMs / 1_000) * 1_000).replace(".0 s", " s")} note={<>started <Time at={node.startedAt} /></>} />
      <Figure name="Memory" value={node.residentBytes === null || node.residentBytes === undefined ? "–" : bytes(node.residentBytes)} note="resident" />
      <Figure name="Actors" value={count(actors.length + 1 + subscriptions.live)} note={`${count(subscriptions.live)} of subscriptions`} />
      <Figure name="Restarts" value={count(restarts)} tone={restarts > 0 ? "text-busy" : undefined} note="since the start" />
    </dl>
  );
}

const PARTS: Record<string, string> = {
  store: "Store", feed: "Feed", ownership: "Ownership", ingest: "Ingest", recorder: "Recorder", deliveries: "Deliveries", tree: "Supervision tree",
};

function Components({ system }: { system: System | undefined }) {
  const parts = Object.entries(system?.health.components ?? {});
  return (
    <Panel title="Health" flush aside={system && <State state={system.health.status} />}>
      {!system ? <div className="p-3"><Skeleton className="h-56 w-full" /></div> : (
        <ul className="divide-y">
          {parts.map(([name, part]) => (
            <li key={name} className="px-3 py-1.5">
              <div className="flex items-center justify-between gap-3">
                <span className="font-medium">{PARTS[name] ?? name.replaceAll("_", " ")}</span>
                <State plain state={part.ok ? "ok" : "unavailable"} />
              </div>
              {part.detail && <p className="break-words text-sm text-muted">{part.detail}</p>}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

const ROLES: Record<string, string> = { all: "accepts and delivers", ingest: "accepts", deliver: "delivers" };

function About({ system }: { system: System | undefined }) {
  if (!system) return <Panel title="Node"><Skeleton className="h-40 w-full" /></Panel>;
  const { node, ownership } = system;
  return (
    <Panel title="Node">
      <Facts rows={[
        ["Name", <span key="n" className="break-words font-mono text-sm">{node.name}</span>],
        ["Version", <span key="v" className="font-mono text-sm">{node.version}</span>],
        ["Profile", node.profile === "embedded" ? "embedded: one file, one process" : "distributed: Postgres and Redis"],
        ["Role", <span key="r">{node.role}{ROLES[node.role] && <span className="text-muted"> · {ROLES[node.role]}</span>}</span>],
        ["Process", <Id key="p" id={String(node.processId)} />],
        ["Delivers", <span key="d" className="inline-flex flex-wrap items-center gap-x-2">{ownership.delivers ? "this process" : ownership.owner ?? "another process"}{ownership.epoch !== null && ownership.epoch !== undefined && <Badge>epoch {ownership.epoch}</Badge>}</span>],
      ]} />
    </Panel>
  );
}
