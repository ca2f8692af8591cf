import type { Installation } from "../../api/types";
import { Skeleton } from "../../ui/Feedback";
import { bytes, count, duration, exact } from "../../ui/format";
import { CopyButton } from "../../ui/Id";
import { Facts, Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { Table, type Column } from "../../ui/Table";
import { Time } from "../../ui/Time";
import { Missing } from "./Nodes";

type Database = NonNullable<NonNullable<Installation["store"]>["database"]>;
type TimePartition = Database["timePartitions"][number];

/** How processes tell each other what they did. */
export function FeedPanel({ seen }: { seen: Installation | undefined }) {
  if (!seen) return <Panel title="Feed"><Skeleton className="h-32 w-full" /></Panel>;
  const { feed } = seen;
  const isRedis = feed.kind === "redis";
  return (
    <Panel title="Feed" aside={<State state={feed.connected ? "ok" : "unavailable"} />}>
      <Facts rows={[
        ["By", isRedis ? "a Redis stream" : seen.store?.database ? "nothing: without REDIS_URL others are found by sweeps" : "nothing: one process has nobody to tell"],
        isRedis && ["State", feed.detail],
        isRedis && [feed.connected ? "Connected" : "Away", <Time key="s" at={feed.since} />],
        isRedis && ["Reconnected", feed.reconnects === 0 ? "never" : `${exact(feed.reconnects)} ${feed.reconnects === 1 ? "time" : "times"}`],
        isRedis && ["Notices kept", (feed.entries ?? null) === null ? "–" : exact(feed.entries ?? 0)],
        isRedis && ["Behind", (feed.behindMs ?? null) === null ? "–" : feed.behindMs === 0 ? "not at all" : duration(feed.behindMs)],
      ]} />
      {seen.missing["feed"] !== undefined && <p className="mt-1 text-sm text-muted">What it keeps cannot be shown: {seen.missing["feed"]}.</p>}
      {isRedis && <p className="mt-2 text-sm text-muted">Nothing hangs on it: what it loses, the sweeper finds.</p>}
    </Panel>
  );
}

/** Where everything lies, and how much of it there is. */
export function StorePanel({ seen }: { seen: Installation | undefined }) {
  if (!seen) return <Panel title="Store"><Skeleton className="h-32 w-full" /></Panel>;
  const { store } = seen;
  if (!store) return <Panel title="Store" flush aside={<State state="unavailable" />}><Missing seen={seen} part="store" /></Panel>;
  if (store.file) {
    const { file } = store;
    return (
      <Panel title="Store" aside={<span className="text-sm text-muted">SQLite</span>}>
        <Facts rows={[
          ["File", <CopyButton key="p" text={file.path} what="Path" className="font-mono text-sm">{file.path}</CopyButton>],
          ["Size", bytes(file.bytes)],
          ["Free in it", <span key="f">{bytes(file.freeBytes)}<span className="text-muted"> · used before it grows</span></span>],
          ["Log", <span key="l">{bytes(file.logBytes)}<span className="text-muted"> · moved into the file from time to time</span></span>],
        ]} />
      </Panel>
    );
  }
  const { database } = store;
  if (!database) return null;
  return (
    <>
      <Panel title="Store" aside={<span className="text-sm text-muted">Postgres {database.version}</span>}>
        <Facts rows={[
          ["Size", bytes(database.bytes)],
          ["Pending", <span key="p">about {exact(database.pending.rows)} deliveries<span className="text-muted"> · {bytes(database.pending.bytes)}</span></span>],
          ["Connections", <span key="c">{exact(database.connections.open - database.connections.idle)} at work, {exact(database.connections.idle)} at rest<span className="text-muted"> · at most {exact(database.connections.most)}</span></span>],
        ]} />
      </Panel>
      <TimePartitions parts={database.timePartitions} />
    </>
  );
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false });

/** An empty one that begins later stands ready. */
function spanOf(part: TimePartition): string {
  return part.from && part.to ? `${DAY.format(Date.parse(part.from))} – ${DAY.format(Date.parse(part.to))}` : "all other times";
}

const PARTS: Column<TimePartition>[] = [
  { key: "span", head: "From – to", width: "minmax(12rem,1fr)", cell: spanOf },
  ...(["events", "deliveries", "attempts"] as const).map((name): Column<TimePartition> => ({
    key: name, head: name === "deliveries" ? "Final deliveries" : name === "events" ? "Events" : "Attempts", width: "8rem", align: "right", from: "sm",
    cell: (part) => <span title={`${exact(part[name].rows)} rows, ${bytes(part[name].bytes)}`}>{count(part[name].rows)} <span className="text-muted">{bytes(part[name].bytes)}</span></span>,
  })),
  { key: "all", head: "Size", width: "5.5rem", align: "right", cell: (part) => bytes(part.events.bytes + part.deliveries.bytes + part.attempts.bytes) },
];

function TimePartitions({ parts }: { parts: readonly TimePartition[] }) {
  return (
    <Panel title="Partitions of time" flush className="tabular-nums lg:col-span-2" aside={<span className="text-sm text-muted">about so many rows; dropped whole when they are old</span>}>
      <Table label="Partitions of time" columns={PARTS} rows={parts} rowKey={(part) => part.from ?? "rest"} />
    </Panel>
  );
}
