import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { usePageInterval } from "../../api/pages";
import { allows, useBarred, useSession } from "../../api/session";
import { FirstSteps } from "../../entities/FirstSteps";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { EmptyState, ErrorState, Skeleton, SkeletonRows } from "../../ui/Feedback";
import { Input, Select } from "../../ui/Field";
import { count, exact, percent } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { PRIMARY_LINK } from "../../ui/link-looks";
import { PageHead } from "../../ui/Panel";
import { Sparkline } from "../../ui/Sparkline";
import { State } from "../../ui/State";
import { lookOf } from "../../ui/states";
import { Table, TwoLines, type Column } from "../../ui/Table";
import { TextFilter } from "../../ui/TextFilter";
import { Countdown, Time } from "../../ui/Time";
import { reasonWords } from "./instrument";
import { MOST_ROWS, sparklinesQuery, subscriptionQuery, subscriptionsQuery, troubleQuery, type SubscriptionRow } from "./queries";
import { matches, STATES, type SubscriptionsSearch } from "./search";

const route = getRouteApi("/in/subscriptions");
/** As many as one question for their numbers takes. */
const AT_ONCE = 100;

/** Who gets what, and how each is doing. */
export function SubscriptionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const session = useSession();
  const barred = useBarred("subscriptions:write");
  const list = useInfiniteQuery({ ...subscriptionsQuery(search.tenant), refetchInterval: usePageInterval(false) });
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = list;
  // State and text are judged here, so all of them are read, up to a bound.
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage]);
  const all = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const rows = useMemo(() => all.filter((row) => matches(search, row)), [all, search]);
  const numbers = useNumbers(all);
  const change = (changed: Partial<Record<keyof SubscriptionsSearch, string | undefined>>) =>
    void navigate({ search: (now) => Object.fromEntries(Object.entries({ ...now, ...changed }).filter(([, value]) => value)) as SubscriptionsSearch, replace: true });
  const isWhole = list.data?.pages.at(-1)?.next === undefined;
  return (
    <div className="list-page">
      <PageHead
        title="Subscriptions"
        lead={list.data && all.length > 0 && <span>{rows.length === all.length ? count(all.length) : `${count(rows.length)} of ${count(all.length)}`}{!isWhole && " of the newest"}</span>}
        actions={barred ? <Button kind="primary" icon="plus" barred={barred}>Register</Button> : <RegisterLink />}
      />
      <Filters search={search} onChange={change} withTenant={session.tenant === null} />
      <div className="list-box">
        {list.isError && all.length === 0 ? <ErrorState what="Subscriptions" error={list.error} onRetry={() => void list.refetch()} />
          : list.isPending ? <SkeletonRows rows={14} />
            : all.length === 0 && search.tenant === undefined ? <Nothing />
              : rows.length === 0 && isWhole ? <EmptyState level={2} icon="search" title="No subscription matches"><Button onClick={() => void navigate({ search: {} })}>Show all</Button></EmptyState>
                : (
                  <Table
                    label="Subscriptions" height="fill" columns={columns(numbers, session.tenant === null, allows(session, "deliveries:read"))} narrow={{ head: "Subscription", cell: (row) => <Narrow row={row} numbers={numbers} /> }} rows={rows} rowKey={(row) => row.id}
                    onOpen={(row) => void navigate({ to: "/subscriptions/$id", params: { id: row.id } })}
                    foot={!isWhole && <p role="status" className="flex h-9 items-center justify-center gap-2 text-sm text-muted">{isFetchNextPageError ? <>The next ones could not be read. <Button kind="quiet" icon="retry" onClick={() => void fetchNextPage()}>Try again</Button></> : hasNextPage ? "Reading on …" : `The newest ${count(MOST_ROWS)} are looked through; narrow by a tenant to see others.`}</p>}
                  />
                )}
      </div>
    </div>
  );
}

function RegisterLink() {
  return <Link to="/subscriptions/new" className={PRIMARY_LINK}><Icon name="plus" size={14} /> Register</Link>;
}

interface Numbers {
  sparks: ReadonlyMap<string, { byState: Record<string, number>; successRate?: number | null | undefined; delivered: readonly number[]; failed: readonly number[] }>;
  breakers: ReadonlyMap<string, { state: string; openUntil: string | null }>;
  /** Whether all breakers that are not closed are among them. */
  all: boolean;
  isPending: boolean;
}

function useNumbers(rows: readonly SubscriptionRow[]): Numbers {
  const may = allows(useSession(), "deliveries:read");
  const interval = useInterval(10_000);
  const groups = useMemo(() => Array.from({ length: Math.ceil(rows.length / AT_ONCE) }, (_, at) => rows.slice(at * AT_ONCE, (at + 1) * AT_ONCE).map((row) => row.id)), [rows]);
  const sparks = useQueries({
    queries: groups.map((ids) => ({ ...sparklinesQuery(ids), enabled: may, refetchInterval: interval })),
    combine: (asked) => ({ isPending: asked.some((one) => one.isPending), found: new Map(asked.flatMap((one) => [...(one.data ?? [])])) }),
  });
  const trouble = useQuery({ ...troubleQuery, enabled: may, refetchInterval: interval });
  return { sparks: sparks.found, isPending: may && sparks.isPending, breakers: trouble.data?.breakers ?? new Map(), all: trouble.data?.all ?? true };
}

function columns(numbers: Numbers, withTenant: boolean, withNumbers: boolean): Column<SubscriptionRow>[] {
  const spark = (row: SubscriptionRow) => numbers.sparks.get(row.id);
  const dash = <span className="text-muted">–</span>;
  const waiting = <Skeleton className="inline-block h-3 w-12 align-middle" />;
  return [
    { key: "state", head: "State", width: "7.5rem", cell: (row) => <State plain state={row.state} title={row.state === "active" ? "" : reasonTitle(row)} /> },
    {
      key: "name", head: "Name", width: "minmax(8rem,1.2fr)",
      cell: (row) => <Link to="/subscriptions/$id" params={{ id: row.id }} tabIndex={-1} className="font-medium hover:underline" title={row.name}>{row.name}</Link>,
    },
    { key: "url", head: "URL", width: "minmax(9rem,1.6fr)", from: "md", cell: (row) => <span className="font-mono text-sm text-muted" title={row.url}>{row.url.replace(/^https:\/\//, "")}</span> },
    { key: "types", head: "Events", width: "minmax(7rem,1.2fr)", from: "lg", cell: (row) => <span className="font-mono text-sm" title={row.eventTypes.join("\n")}>{row.eventTypes.join(", ")}</span> },
    ...(withTenant ? [{ key: "tenant", head: "Tenant", width: "minmax(4rem,.6fr)", from: "lg", cell: (row: SubscriptionRow) => row.tenant ?? dash } as const] : []),
    ...(withNumbers ? [
      {
        key: "spark", head: "24 hours", width: "6.5rem", from: "sm",
        cell: (row) => {
          const seen = spark(row);
          if (!seen) return numbers.isPending ? waiting : dash;
          const points = seen.delivered.map((good, index) => ({ good, bad: seen.failed[index] ?? 0 }));
          const [good, bad] = [sum(seen.delivered), sum(seen.failed)];
          // What waits may well be tried again and again.
          if (good + bad === 0) return <span className="text-sm text-muted">{(seen.byState["pending"] ?? 0) > 0 ? "none ended" : "nothing"}</span>;
          return <span title={`${exact(good)} delivered, ${exact(bad)} not`}><Sparkline points={points} label={`${exact(good)} delivered and ${exact(bad)} not, in 24 hours`} /></span>;
        },
      },
      {
        key: "rate", head: "Success", width: "4.5rem", align: "right", from: "sm",
        cell: (row) => {
          const seen = spark(row);
          if (!seen) return numbers.isPending ? waiting : dash;
          const share = seen.successRate;
          return <span className={share !== null && share !== undefined && share < 0.95 ? "text-bad" : share !== null && share !== undefined && share < 0.99 ? "text-busy" : ""}>{percent(share)}</span>;
        },
      },
      {
        key: "backlog", head: "Backlog", width: "4rem", align: "right",
        cell: (row) => {
          const pending = spark(row)?.byState["pending"];
          return pending === undefined ? (numbers.isPending ? waiting : dash) : <span title={exact(pending)} className={pending > 0 ? "font-medium" : "text-muted"}>{count(pending)}</span>;
        },
      },
      { key: "breaker", head: "Breaker", width: "8.5rem", from: "sm", cell: (row) => <BreakerNote row={row} numbers={numbers} /> },
    ] satisfies Column<SubscriptionRow>[] : []),
  ];
}

function Narrow({ row, numbers }: { row: SubscriptionRow; numbers: Numbers }) {
  const pending = numbers.sparks.get(row.id)?.byState["pending"] ?? 0;
  const isActive = row.state === "active";
  return (
    <TwoLines
      first={<Link to="/subscriptions/$id" params={{ id: row.id }} tabIndex={-1} className="font-medium">{row.name}</Link>} aside={pending > 0 && <>{count(pending)} pending</>}
      // Of one that is active the breaker says more.
      second={<>{isActive ? <BreakerNote row={row} numbers={numbers} /> : <State plain state={row.state} />}<span className="truncate font-mono text-muted">{row.url.replace(/^https?:\/\//, "")}</span></>}
      end={!isActive && <span className="text-muted"><Time at={row.stateChangedAt} /></span>}
    />
  );
}

const sum = (values: readonly number[]) => values.reduce((whole, one) => whole + one, 0);

function reasonTitle(row: SubscriptionRow): string {
  return row.state === "paused" ? "" : reasonWords(row.stateReason);
}

/** Of one that a rule or an operator holds, since when; of the others where the breaker is. */
function BreakerNote({ row, numbers }: { row: SubscriptionRow; numbers: Numbers }) {
  const known = numbers.breakers.get(row.id);
  // Where the overview named as many as it may, each that is in sight is asked for itself.
  const asked = useQuery({ ...subscriptionQuery(row.id), enabled: !known && !numbers.all && row.state === "active" && !numbers.isPending, staleTime: 15_000 });
  if (row.state !== "active") return <span className="text-sm text-muted"><Time at={row.stateChangedAt} /></span>;
  const state = known?.state ?? asked.data?.breakerState?.state ?? "closed";
  const until = known?.openUntil ?? asked.data?.breakerState?.openUntil;
  return state === "closed" ? <span className="text-muted">{lookOf("closed").word}</span> : <span className="inline-flex items-center gap-1.5"><State plain state={state} />{state === "open" && until && <span className="text-sm text-muted"><Countdown until={until} past="soon" /></span>}</span>;
}

function Filters({ search, onChange, withTenant }: { search: SubscriptionsSearch; onChange: (changed: Partial<Record<keyof SubscriptionsSearch, string | undefined>>) => void; withTenant: boolean }) {
  return (
    <search className="mb-2 flex flex-wrap gap-2" aria-label="Subscriptions">
      <div className="min-w-full flex-1 sm:min-w-60">
        <Input type="search" aria-label="Search subscriptions" placeholder="Search: name, URL, event type, id" value={search.q ?? ""} onChange={(event) => onChange({ q: event.target.value })} spellCheck={false} autoComplete="off" />
      </div>
      <Select aria-label="State" value={search.state ?? ""} onChange={(event) => onChange({ state: event.target.value })} className="w-36 flex-1 sm:flex-none">
        <option value="">Any state</option>
        {STATES.map((state) => <option key={state} value={state}>{lookOf(state).word}</option>)}
      </Select>
      {withTenant && (
        <TextFilter label="Tenant" placeholder="Any tenant" value={search.tenant} onChange={(tenant) => onChange({ tenant })} className="w-36 min-w-0 flex-1 sm:flex-none" />
      )}
    </search>
  );
}

function Nothing() {
  const barred = useBarred("subscriptions:write");
  return (
    <EmptyState level={2} icon="subscriptions" title="Nobody is subscribed yet">
      <p className="max-w-prose">A subscription says who gets which events, where, and how fast. Every event that matches is delivered there, signed, until it arrives.</p>
      {!barred && <RegisterLink />}
      {!barred && <p>Or by the API; the answer shows its secret:</p>}
      <FirstSteps subscription />
    </EmptyState>
  );
}
