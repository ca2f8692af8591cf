import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { MOST_ROWS, usePageInterval } from "../../api/pages";
import { allows, useBarred, useSession } from "../../api/session";
import { FirstSteps } from "../../entities/FirstSteps";
import { useFacts, useStanding } from "../../live/Live";
import { Button } from "../../ui/Button";
import { serverNow } from "../../ui/clock";
import { Combobox } from "../../ui/Combobox";
import { EmptyState, ErrorState, Notice, SkeletonRows } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { count } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { PRIMARY_LINK } from "../../ui/link-looks";
import { PageHead } from "../../ui/Panel";
import { Table, TwoLines, type Column } from "../../ui/Table";
import { TextFilter } from "../../ui/TextFilter";
import { Time } from "../../ui/Time";
import { eventsQuery, eventTypesQuery, type EventRow } from "./queries";
import { matches, WITHIN, type EventsSearch } from "./search";
import { arrived, caughtUp, emptyTail, merged, resumed, without } from "./tail";

const route = getRouteApi("/in/events");
/** Facts are drawn together this often. */
const BEAT = 250;
/** A row is new for so long. */
const NEW_FOR = 2_000;

/** What was received, newest first, as it comes. */
export function EventsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const barred = useBarred("events:write");
  const session = useSession();
  const live = useStanding() === "live";
  const [paused, setPaused] = useState(false);
  const list = useInfiniteQuery({ ...eventsQuery(search), refetchInterval: usePolling(search) });
  const [atTop, setAtTop] = useState(true);
  // Keys are on a row, which must neither move nor go.
  const [isOnRow, setOnRow] = useState(false);
  const [topKey, setTopKey] = useState(0);
  // Nothing moves under a finger: new rows come in while the first one is seen.
  const isHeld = paused || !atTop || isOnRow;
  const { tail, setTail, coming } = useTail(search, isHeld);
  const listed = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const rows = useMemo(() => merged(tail.shown, without(listed, tail.waiting, (row) => row.id), (row) => row.id), [tail.shown, tail.waiting, listed]);
  const client = useQueryClient();
  const { refetch, errorUpdateCount } = list;
  // More came than a tail keeps: the list begins anew, with its first page.
  useEffect(() => {
    if (!tail.passed || isHeld) return;
    client.setQueryData(eventsQuery(search).queryKey, (now) => now && { pages: now.pages.slice(0, 1), pageParams: now.pageParams.slice(0, 1) });
    void refetch().then(({ isSuccess, data }) => {
      if (isSuccess) setTail((now) => caughtUp(now, data.pages.flatMap((page) => page.rows), (row) => row.id));
    });
  }, [client, search, tail.passed, isHeld, refetch, setTail, errorUpdateCount]);
  const toTop = useCallback(() => {
    setPaused(false);
    setAtTop(true);
    setTopKey((now) => now + 1);
    setTail(resumed);
  }, [setTail]);
  const change = useCallback((changed: Partial<Record<keyof EventsSearch, string | undefined>>) => {
    setAtTop(true);
    void navigate({ search: (now) => clean({ ...now, until: undefined, ...changed }), replace: true });
  }, [navigate]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = list;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage]);
  const last = list.data?.pages.at(-1);
  const isFiltered = Object.keys(search).length > 0;
  // What only the relay can judge is not tailed.
  const canTail = search.q === undefined && search.until === undefined;
  return (
    <div className="list-page">
      <PageHead title="Events" lead={canTail && live && !paused && isHeld && "New rows wait while you look"} actions={<>
        {canTail && live && (isHeld
          ? <Button icon="play" onClick={toTop}>{!tail.passed && tail.waiting.length > 0 ? `Show ${count(tail.waiting.length)} new` : paused ? "Resume" : "Newest"}</Button>
          : <Button icon="pause" onClick={() => setPaused(true)}>Pause</Button>)}
        {!canTail && <Button icon="retry" busy={list.isRefetching} onClick={() => void list.refetch()}>Look again</Button>}
        {!barred ? <SendLink /> : session.tenant === null && <Button kind="primary" icon="send" barred={barred}>Send event</Button>}
      </>} />
      <Filters search={search} onChange={change} withTenant={session.tenant === null} />
      <div className="list-box">
        {list.isError && rows.length === 0 ? <ErrorState what="Events" error={list.error} onRetry={() => void list.refetch()} />
          : list.isPending ? <SkeletonRows rows={14} />
            : rows.length === 0 && !hasNextPage ? <Nothing isFiltered={isFiltered} isPartial={last?.partial ?? false} onClear={() => void navigate({ search: {} })} />
              : (
                <Table
                  label="Events" height="fill" columns={columns(session.tenant === null)} narrow={NARROW} rows={rows} rowKey={(row) => row.id} onEnd={onEnd}
                  isNew={(row) => coming.has(row.id)} onTop={setAtTop} onRowFocus={setOnRow} topKey={topKey}
                  onOpen={(row) => void navigate({ to: "/events/$id", params: { id: row.id } })}
                  foot={<Foot list={list} rows={rows.length} onGoOn={() => change({ until: rows.at(-1)?.receivedAt })} />}
                />
              )}
      </div>
    </div>
  );
}

function SendLink() {
  return (
    <Link to="/events/send" className={PRIMARY_LINK}>
      <Icon name="send" size={14} /> Send event
    </Link>
  );
}

/** Without the stream the newest page is asked for again and again. */
function usePolling(search: EventsSearch) {
  const interval = usePageInterval(false);
  return search.q === undefined && interval;
}

function useTail(search: EventsSearch, paused: boolean) {
  const key = JSON.stringify(search);
  const [held, setHeld] = useState(() => ({ key, tail: emptyTail<EventRow>() }));
  const tail = held.key === key ? held.tail : emptyTail<EventRow>();
  const [coming, setComing] = useState<ReadonlySet<string>>(new Set());
  const batch = useRef<EventRow[]>([]);
  const setTail = useCallback((change: ReturnType<typeof emptyTail<EventRow>> | ((tail: ReturnType<typeof emptyTail<EventRow>>) => ReturnType<typeof emptyTail<EventRow>>)) => {
    setHeld((now) => {
      const before = now.key === key ? now.tail : emptyTail<EventRow>();
      const tail = typeof change === "function" ? change(before) : change;
      return now.key === key && tail === now.tail ? now : { key, tail };
    });
  }, [key]);
  useFacts((fact) => {
    if (fact.event === "reset") {
      batch.current = [];
      setTail(emptyTail());
    } else if (fact.event === "event.accepted" && matches(search, fact.data)) {
      const { eventId, ...rest } = fact.data;
      batch.current.push({ id: eventId, ...rest });
    }
  });
  useEffect(() => {
    const timer = setInterval(() => {
      const came = batch.current;
      if (came.length === 0) {
        setComing((now) => (now.size === 0 ? now : new Set()));
        if (!paused) setTail(resumed);
        return;
      }
      batch.current = [];
      setTail((now) => arrived(now, came, paused));
      const since = serverNow() - NEW_FOR;
      setComing(new Set(paused ? [] : came.filter((row) => Date.parse(row.receivedAt) > since).slice(-50).map((row) => row.id)));
    }, BEAT);
    return () => clearInterval(timer);
  }, [paused, setTail]);
  return { tail, setTail, coming };
}

function columns(withTenant: boolean): Column<EventRow>[] {
  return [
    { key: "at", head: "Received", width: "5.5rem", cell: (row) => <span className="text-muted"><Time at={row.receivedAt} /></span> },
    {
      key: "type", head: "Type", width: "minmax(9rem,1.3fr)",
      cell: (row) => <Link to="/events/$id" params={{ id: row.id }} tabIndex={-1} className="font-mono text-sm font-medium hover:underline">{row.eventType}</Link>,
    },
    { key: "name", head: "Name", width: "minmax(8rem,1.6fr)", from: "sm", cell: (row) => row.eventName ?? <span className="text-muted">–</span> },
    { key: "source", head: "Source", width: "minmax(6rem,1fr)", from: "md", cell: (row) => row.source ?? <span className="text-muted">–</span> },
    ...(withTenant ? [{ key: "tenant", head: "Tenant", width: "minmax(5rem,.7fr)", from: "lg", cell: (row: EventRow) => row.tenant ?? <span className="text-muted">–</span> } as const] : []),
    { key: "id", head: "Id", width: "8.5rem", cell: (row) => <Id id={row.id} /> },
  ];
}

const NARROW = {
  head: "Event",
  cell: (row: EventRow) => (
    <TwoLines
      first={<Link to="/events/$id" params={{ id: row.id }} tabIndex={-1} className="font-mono text-sm font-medium">{row.eventType}</Link>} aside={<Time at={row.receivedAt} />}
      second={<span className="truncate">{row.eventName ?? <span className="text-muted">without a name</span>}</span>} end={<span className="text-muted">{row.source}</span>}
    />
  ),
};

function Filters({ search, onChange, withTenant }: { search: EventsSearch; onChange: (changed: Partial<Record<keyof EventsSearch, string | undefined>>) => void; withTenant: boolean }) {
  const types = useQuery(eventTypesQuery);
  const options = (types.data ?? []).map((type) => ({ value: type.name, ...(type.count > 0 ? { note: count(type.count) } : {}) }));
  return (
    <search className="mb-2 flex flex-wrap gap-2" aria-label="Events">
      <TextFilter value={search.q} onChange={(q) => onChange({ q })} label="Search events" placeholder='Words, an id, payload.orderId=7' type="search" className="min-w-full flex-1 sm:min-w-60" />
      <div className="w-40 min-w-0 flex-1 sm:flex-none"><Combobox label="Type" placeholder="Any type" mono options={options} value={search.eventType ?? ""} onChange={(eventType) => onChange({ eventType: eventType || undefined })} /></div>
      <TextFilter value={search.source} onChange={(source) => onChange({ source })} label="Source" placeholder="Any source" className="w-28 flex-1 sm:flex-none" />
      {withTenant && <TextFilter value={search.tenant} onChange={(tenant) => onChange({ tenant })} label="Tenant" placeholder="Any tenant" className="hidden w-28 sm:block" />}
      <Select aria-label="Received within" value={search.within ?? ""} onChange={(event) => onChange({ within: (event.target.value || undefined) })} className="w-32 flex-1 sm:flex-none">
        <option value="">Any time</option>
        {Object.keys(WITHIN).map((within) => <option key={within} value={within}>Last {within.replace("m", " min").replace("h", " h").replace("d", " d")}</option>)}
      </Select>
      {search.until !== undefined && <Button kind="quiet" icon="cross" onClick={() => onChange({ until: undefined })}>Before <Time at={search.until} /></Button>}
    </search>
  );
}

function Foot({ list, rows, onGoOn }: { list: { isFetchingNextPage: boolean; hasNextPage: boolean; isFetchNextPageError: boolean; fetchNextPage: () => unknown; data: { pages: { partial: boolean; next: string | undefined }[] } | undefined }; rows: number; onGoOn: () => void }) {
  const last = list.data?.pages.at(-1);
  const line = "flex h-9 items-center justify-center gap-2 px-3 text-sm text-muted";
  if (list.isFetchNextPageError) return <div className={line}>The next ones could not be read. <Button kind="quiet" icon="retry" onClick={() => list.fetchNextPage()}>Try again</Button></div>;
  if (list.isFetchingNextPage) return <div className={line} role="status">Reading on …</div>;
  if (!list.hasNextPage && last?.next) return <div className={line}>{count(MOST_ROWS)} rows are as many as one list holds. <Button kind="quiet" icon="down" onClick={onGoOn}>Go on from here</Button></div>;
  if (list.hasNextPage) return <div className={line}><Button kind="quiet" icon="down" onClick={() => list.fetchNextPage()}>{last?.partial ? "Search on" : "Read on"}</Button></div>;
  return rows > 20 ? <div className={line}>That is all.</div> : null;
}

function Nothing({ isFiltered, isPartial, onClear }: { isFiltered: boolean; isPartial: boolean; onClear: () => void }) {
  const session = useSession();
  if (isFiltered) {
    return (
      <EmptyState icon="search" title="No event matches">
        {isPartial && <Notice tone="quiet" icon="clock">The search ended at its bounds; narrow it by a type or a time.</Notice>}
        <Button onClick={onClear}>Show all events</Button>
      </EmptyState>
    );
  }
  return (
    <EmptyState title="No event has come yet">
      <p>{session.tenant === null ? "Events appear here the moment they are accepted." : "Your events appear here the moment they are accepted. What is sent to all is not listed; its deliveries are."}</p>
      {allows(session, "events:write") && <SendLink />}
      <FirstSteps event />
    </EmptyState>
  );
}

function clean(search: Partial<Record<keyof EventsSearch, string | undefined>>): EventsSearch {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined));
}
