import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useMemo, useState, type KeyboardEvent } from "react";
import { MOST_ROWS } from "../../api/pages";
import { useBarred } from "../../api/session";
import type { Delivery } from "../../api/types";
import { FirstSteps } from "../../entities/FirstSteps";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { useSubscriptions } from "../../entities/subscriptions";
import { useStanding } from "../../live/Live";
import { Button } from "../../ui/Button";
import { Checkbox } from "../../ui/Checkbox";
import { EmptyState, ErrorState, SkeletonRows } from "../../ui/Feedback";
import { count, exact } from "../../ui/format";
import { Id } from "../../ui/Id";
import { PageHead } from "../../ui/Panel";
import { HttpStatus, State } from "../../ui/State";
import { deliveryState } from "../../ui/states";
import { Table, TwoLines, type Column } from "../../ui/Table";
import { NextTry, Time } from "../../ui/Time";
import { CancelDialog, RetryDialog } from "./Bulk";
import { Filters, type Change } from "./Filters";
import { changed, rowOf, type DeliveryRow } from "./rows";
import { canTail, cleaned, type DeliveriesSearch } from "./search";
import { all, current, NOTHING, ranged, toggled, type Selection } from "./selection";
import { useDeliveryList } from "./use-list";

const route = getRouteApi("/in/deliveries");

/** What was, is and will be sent, newest first. */
export function DeliveriesPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [paused, setPaused] = useState(false);
  const [atTop, setAtTop] = useState(true);
  const [topKey, setTopKey] = useState(0);
  const [selection, setSelection] = useState<Selection>(NOTHING);
  // Keys are on a row, which must neither move nor go.
  const [isOnRow, setOnRow] = useState(false);
  const isSelecting = selection.rows.size > 0;
  const isLive = useStanding() === "live";
  const tails = canTail(search);
  // Nothing moves under a finger: new rows come in while the first one is seen and none is selected.
  const { list, fresh, change } = useDeliveryList(search, !paused && atTop && !isSelecting && !isOnRow);
  const rows = useMemo<readonly DeliveryRow[]>(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const subscriptions = useSubscriptions();
  const [dialog, setDialog] = useState<"retry" | "cancel">();
  const barred = useBarred("deliveries:write");

  const filter = useCallback<Change>((changed) => {
    setSelection(NOTHING);
    setAtTop(true);
    setTopKey((now) => now + 1);
    void navigate({ search: (now) => cleaned({ ...now, ...changed }), replace: true });
  }, [navigate]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = list;
  const last = list.data?.pages.at(-1);
  const isPartial = last?.partial ?? false;
  // A search that ended at its bounds goes on when it is told to: each step may take seconds of the relay.
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !isPartial) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage, isPartial]);

  const select = useCallback((row: DeliveryRow, toThere: boolean) => setSelection((now) => (toThere ? ranged(now, rows, row) : toggled(now, row))), [rows]);
  const onRowKey = (event: KeyboardEvent<HTMLElement>, row: DeliveryRow, index: number, go: (index: number) => void) => {
    if (event.key === " ") select(row, event.shiftKey);
    else if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const to = index + (event.key === "ArrowDown" ? 1 : -1);
      const next = rows[to];
      if (next) {
        setSelection((now) => ranged(now.anchor === undefined ? ranged(now, rows, row) : now, rows, next));
        go(to);
      }
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") setSelection(all(rows));
    else if (event.key === "Escape" && isSelecting) setSelection(NOTHING);
    else return;
    event.preventDefault();
  };
  const selected = useMemo(() => current(selection, rows), [selection, rows]);
  const columns = useMemo(() => columnsOf(subscriptions, selection, select, rows, setSelection), [subscriptions, selection, select, rows]);
  const narrow = useMemo(() => ({ head: "Delivery", cell: (row: DeliveryRow) => inTwoLines(row, subscriptions) }), [subscriptions]);
  const moved = useCallback((delivery: Delivery) => change((now) => changed(now, new Set([delivery.id]), () => rowOf(delivery))), [change]);
  const toTop = () => {
    setPaused(false);
    setAtTop(true);
    setTopKey((now) => now + 1);
  };
  const isFiltered = Object.keys(search).length > 0;
  return (
    <div className="list-page">
      <PageHead
        title="Deliveries"
        lead={tails && isLive && !paused && (isSelecting ? "New rows wait while you select" : isOnRow || !atTop ? "New rows wait while you look" : false)}
        actions={<>
          {tails && isLive && (paused || ((!atTop || isOnRow) && !isSelecting)
            ? <Button icon="play" onClick={toTop}>{paused ? "Resume" : "Newest"}</Button>
            : <Button icon="pause" onClick={() => setPaused(true)}>Pause</Button>)}
          {!tails && <Button icon="retry" busy={list.isRefetching && !isFetchingNextPage} onClick={() => void list.refetch()}>Look again</Button>}
        </>}
      />
      <Filters search={search} onChange={filter} />
      <div className="list-box">
        {list.isError && rows.length === 0 ? <ErrorState what="Deliveries" error={list.error} onRetry={() => void list.refetch()} />
          : list.isPending ? <SkeletonRows rows={14} />
            : rows.length === 0 ? <Nothing isFiltered={isFiltered} list={list} onClear={() => filter(NO_FILTERS)} />
              : (
                <Table
                  label="Deliveries" height="fill" columns={columns} narrow={narrow} rows={rows} rowKey={(row) => row.id} onEnd={onEnd}
                  isNew={(row) => fresh.has(row.id)} isSelected={(row) => selection.rows.has(row.id)} onRowKey={onRowKey} onTop={setAtTop} onRowFocus={setOnRow} topKey={topKey}
                  onOpen={(row) => void navigate({ to: "/deliveries/$id", params: { id: row.id } })}
                  foot={<Foot list={list} rows={rows} onGoOn={() => filter({ until: rows.at(-1)?.createdAt })} isRaised={isSelecting} />}
                />
              )}
        {isSelecting && (
          <section aria-label="Selection" className="appear absolute inset-x-2 bottom-2 z-20 mx-auto flex max-w-3xl flex-wrap items-center gap-2 rounded-md border bg-raised px-3 py-1.5 shadow-pop">
            <p role="status" className="font-semibold">{exact(selected.length)} selected</p>
            {selected.length < rows.length && <Button kind="quiet" onClick={() => setSelection(all(rows))}>Select all {exact(rows.length)} shown</Button>}
            <span className="ml-auto flex flex-wrap gap-2">
              <Button icon="retry" barred={barred} onClick={() => setDialog("retry")}>Send again…</Button>
              <Button kind="danger" icon="stop" barred={barred || (!selected.some((row) => row.status === "pending") && "None of them is pending")} onClick={() => setDialog("cancel")}>Cancel…</Button>
              <Button kind="quiet" icon="cross" bare onClick={() => setSelection(NOTHING)}>Select none</Button>
            </span>
          </section>
        )}
      </div>
      {dialog === "retry" && <RetryDialog
        rows={selected} subscriptions={subscriptions} onMoved={moved} onClose={() => setDialog(undefined)} onStarted={() => setSelection(NOTHING)}
      />}
      {dialog === "cancel" && <CancelDialog
        rows={selected} onMoved={moved} onClose={() => setDialog(undefined)} onStarted={() => setSelection(NOTHING)}
      />}
    </div>
  );
}

const NO_FILTERS: Record<keyof DeliveriesSearch, undefined> = {
  q: undefined, status: undefined, statusClass: undefined, subscriptionId: undefined, eventType: undefined, eventId: undefined,
  tenant: undefined, within: undefined, since: undefined, until: undefined,
};

function columnsOf(
  subscriptions: ReturnType<typeof useSubscriptions>, selection: Selection, select: (row: DeliveryRow, toThere: boolean) => void,
  rows: readonly DeliveryRow[], setSelection: (selection: Selection) => void,
): Column<DeliveryRow>[] {
  const isAll = rows.length > 0 && rows.every((row) => selection.rows.has(row.id));
  return [
    {
      key: "select", width: "1.5rem", stays: "before",
      head: <Checkbox checked={isAll} some={selection.rows.size > 0} onChange={() => setSelection(isAll ? NOTHING : all(rows))} label="Select all that are shown" />,
      // Rows are selected by Space; boxes are for the pointer.
      cell: (row) => <Checkbox checked={selection.rows.has(row.id)} onChange={(_, event) => select(row, event.shiftKey)} label={`Select ${row.eventType} of ${row.id}`} tabIndex={-1} />,
    },
    { key: "state", head: "State", width: "5.5rem", cell: (row) => <State plain state={deliveryState(row)} /> },
    {
      key: "type", head: "Event type", width: "minmax(6rem,1.2fr)",
      cell: (row) => <Link to="/deliveries/$id" params={{ id: row.id }} tabIndex={-1} className="font-mono text-sm font-medium hover:underline">{row.eventType}</Link>,
    },
    { key: "subscription", head: "Subscription", width: "minmax(8rem,1fr)", from: "sm", cell: (row) => <SubscriptionName id={row.subscriptionId} name={subscriptions.get(row.subscriptionId)?.name} /> },
    { key: "answer", head: "Answer", width: "6.5rem", from: "sm", cell: (row) => <span title={row.error ?? undefined}><HttpStatus status={row.httpStatus} error={row.errorKind} /></span> },
    { key: "attempts", head: "Attempts", width: "4rem", from: "md", align: "right", cell: (row) => (row.attemptCount === 0 ? <span className="text-muted">–</span> : <span className="tabular-nums">{row.attemptCount}</span>) },
    {
      key: "next", head: "Ended, or next", width: "7.5rem", from: "md",
      cell: (row) => <span className="tabular-nums text-muted">{row.status !== "pending" ? <Time at={row.finishedAt} /> : row.nextRetryAt ? <NextTry at={row.nextRetryAt} /> : "to be sent"}</span>,
    },
    { key: "made", head: "Made", width: "4rem", cell: (row) => <span className="tabular-nums text-muted"><Time at={row.createdAt} /></span> },
    { key: "id", head: "Id", width: "8.5rem", from: "lg", cell: (row) => <Id id={row.id} /> },
  ];
}

function inTwoLines(row: DeliveryRow, subscriptions: ReturnType<typeof useSubscriptions>) {
  return (
    <TwoLines
      first={<Link to="/deliveries/$id" params={{ id: row.id }} tabIndex={-1} className="font-mono text-sm font-medium">{row.eventType}</Link>}
      aside={row.status === "pending" && row.nextRetryAt && row.attemptCount > 0 ? <NextTry at={row.nextRetryAt} /> : <Time at={row.createdAt} />}
      second={<><State plain state={deliveryState(row)} /><span className="truncate">{subscriptions.get(row.subscriptionId)?.name}</span></>}
      end={<HttpStatus status={row.httpStatus} error={row.errorKind} />}
    />
  );
}

type List = ReturnType<typeof useDeliveryList>["list"];

function Foot({ list, rows, onGoOn, isRaised }: { list: List; rows: readonly DeliveryRow[]; onGoOn: () => void; isRaised: boolean }) {
  const last = list.data?.pages.at(-1);
  // The bar of a selection lies over the last rows.
  const line = `flex min-h-9 flex-wrap items-center justify-center gap-x-2 px-3 text-sm text-muted ${isRaised ? "mb-14" : ""}`;
  if (list.isFetchNextPageError) return <div className={line}>The next ones could not be read. <Button kind="quiet" icon="retry" onClick={() => void list.fetchNextPage()}>Try again</Button></div>;
  if (list.isFetchingNextPage) return <div className={line} role="status">{last?.partial ? "Searching on …" : "Reading on …"}</div>;
  if (!list.hasNextPage && last?.next) return <div className={line}>{count(MOST_ROWS)} rows are as many as one list holds. <Button kind="quiet" icon="down" onClick={onGoOn}>Go on from here</Button></div>;
  if (list.hasNextPage && last?.partial) {
    return <div className={line}>Searched back to <Time at={rows.at(-1)?.createdAt} /> at least; there may be more. <Button kind="quiet" icon="down" onClick={() => void list.fetchNextPage()}>Go on</Button></div>;
  }
  if (list.hasNextPage) return <div className={line}><Button kind="quiet" icon="down" onClick={() => void list.fetchNextPage()}>Read on</Button></div>;
  return rows.length > 20 || isRaised ? <div className={line}>That is all.</div> : null;
}

function Nothing({ isFiltered, list, onClear }: { isFiltered: boolean; list: List; onClear: () => void }) {
  if (list.hasNextPage) {
    const looks = list.data?.pages.length ?? 0;
    return (
      <EmptyState icon="search" title="Nothing found so far">
        <p className="max-w-prose">{looks === 1 ? "One step of the search" : `${exact(looks)} steps of the search`} found nothing, and there is more to look at: each step looks at 10,000 deliveries, or for 2 seconds. A subscription, a type or a time makes it quicker.</p>
        <span className="flex flex-wrap justify-center gap-2">
          <Button kind="primary" icon="down" busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>Go on searching</Button>
          <Button onClick={onClear}>Show all deliveries</Button>
        </span>
      </EmptyState>
    );
  }
  if (isFiltered) {
    return (
      <EmptyState icon="search" title="No delivery matches">
        <p>All that is kept was looked at.</p>
        <Button onClick={onClear}>Show all deliveries</Button>
      </EmptyState>
    );
  }
  return (
    <EmptyState icon="deliveries" title="Nothing was to be delivered yet">
      <p className="max-w-prose">Each event makes one delivery for each subscription that wants its type.</p>
      <FirstSteps subscription event patterns={["job.*"]} />
    </EmptyState>
  );
}
