import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useBarredFromAll, useSession } from "../../api/session";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { ListPage } from "../../ui/EndlessTable";
import { EmptyState, ErrorState, SkeletonRows } from "../../ui/Feedback";
import { Input } from "../../ui/Field";
import { count, exact } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { PRIMARY_LINK } from "../../ui/link-looks";
import { PageHead } from "../../ui/Panel";
import { State } from "../../ui/State";
import { Table, type Column } from "../../ui/Table";
import { Choice } from "../../ui/Tabs";
import { Time } from "../../ui/Time";
import { catalogueQuery, type EventTypeRow } from "./queries";
import type { EventTypesSearch } from "./search";

const route = getRouteApi("/in/event-types");

const has = (is: boolean, what: string) => (is ? <span className="inline-flex items-center gap-1.5"><Icon name="check" size={13} className="text-good" /><span className="sr-only">{what}</span></span> : <span className="text-muted">–</span>);

const COLUMNS: readonly Column<EventTypeRow>[] = [
  { key: "name", head: "Type", width: "minmax(10rem,1.1fr)", cell: (type) => <Link to="/event-types/$name" params={{ name: type.name }} tabIndex={-1} title={type.name} className="font-mono text-sm font-medium hover:underline">{type.name}</Link> },
  { key: "description", head: "Description", width: "minmax(8rem,1.7fr)", from: "sm", cell: (type) => <span title={type.description ?? undefined} className="text-muted">{type.description ?? "–"}</span> },
  { key: "state", head: "State", width: "6rem", from: "md", cell: (type) => <State plain state={type.archived ? "archived" : "active"} /> },
  { key: "schema", head: "Schema", width: "4rem", from: "sm", cell: (type) => has(type.hasSchema, "It has one") },
  { key: "example", head: "Example", width: "4.5rem", from: "md", cell: (type) => has(type.hasExample, "It has one") },
  {
    key: "count", head: "Events", width: "5rem", align: "right",
    cell: (type) => (type.count === undefined ? <span className="text-muted">–</span> : type.count === 0 ? <span className="text-muted">0</span>
      : <Link to="/events" search={{ eventType: type.name }} title={`${exact(type.count)} events of this type`} className="text-accent hover:underline">{count(type.count)}</Link>),
  },
  { key: "updated", head: "Changed", width: "5.5rem", from: "lg", align: "right", cell: (type) => <span className="text-muted"><Time at={type.updatedAt} /></span> },
];

/** The catalogue: what senders may send. */
export function EventTypesPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const barred = useBarredFromAll();
  const session = useSession();
  const query = useQuery({ ...catalogueQuery, refetchInterval: useInterval(30_000) });
  const { q, show = "used" } = search;
  const rows = useMemo(() => {
    const needle = (q ?? "").trim().toLowerCase();
    return (query.data ?? []).filter((type) => (show === "all" || type.archived === (show === "archived")) && (needle === "" || `${type.name} ${type.description ?? ""}`.toLowerCase().includes(needle)));
  }, [query.data, q, show]);
  const change = (changed: { q?: string; show?: "used" | "archived" | "all" }) => {
    const next: { q?: string | undefined; show: "used" | "archived" | "all" } = { q, show, ...changed };
    const to: EventTypesSearch = {};
    if (next.q) to.q = next.q;
    if (next.show !== "used") to.show = next.show;
    void navigate({ search: to, replace: true });
  };
  const make = session.tenant !== null ? null : barred ? <Button kind="primary" icon="plus" barred={barred}>Describe a type</Button> : <MakeLink />;
  const isFiltered = Object.keys(search).length > 0;
  return (
    <ListPage
      head={<PageHead title="Event types" actions={make} />}
      filters={
        <search className="mb-2 flex flex-wrap items-center gap-2" aria-label="Event types">
          <div className="min-w-48 max-w-md flex-1"><Input type="search" aria-label="Search event types" placeholder="Search: a name, a word" value={q ?? ""} onChange={(event) => change({ q: event.target.value })} spellCheck={false} autoComplete="off" /></div>
          <Choice label="Which" value={show} onChange={(next) => change({ show: next })} options={[{ value: "used", label: "In use" }, { value: "archived", label: "Archived" }, { value: "all", label: "All" }]} />
          <span role="status" className="text-sm text-muted">{query.data && (isFiltered ? `${rows.length} of ${query.data.length}` : "")}</span>
        </search>
      }
    >
      {query.isError && !query.data ? <ErrorState what="The catalogue" error={query.error} onRetry={() => void query.refetch()} />
        : query.isPending ? <SkeletonRows rows={12} />
          : rows.length === 0 ? (query.data?.length === 0 ? (
            <EmptyState icon="book" title="No type is described yet">
              <p className="max-w-prose">Events of any type are taken all the same. Described here, a type tells subscribers what they get; with a JSON Schema, the relay refuses what does not fit.</p>
              {!barred && <Curl method="POST" path="/api/v1/event-types" body={{ name: "job.created", description: "A job was opened.", example: { jobId: "123" }, schema: { type: "object", required: ["jobId"] } }} />}
              {make}
            </EmptyState>
          ) : <EmptyState icon="search" title={isFiltered ? "No type matches" : "All types are archived"}><Button onClick={() => void navigate({ search: { show: "all" } })}>Show all</Button></EmptyState>)
            : <Table label="Event types" height="fill" columns={COLUMNS} rows={rows} rowKey={(type) => type.name} onOpen={(type) => void navigate({ to: "/event-types/$name", params: { name: type.name } })} />}
    </ListPage>
  );
}

function MakeLink() {
  return <Link to="/new/event-type" className={PRIMARY_LINK}><Icon name="plus" size={14} />Describe a type</Link>;
}
