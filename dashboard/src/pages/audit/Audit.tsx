import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { api, data } from "../../api/client";
import { endless, usePageInterval } from "../../api/pages";
import type { AuditEntry } from "../../api/types";
import { TenantName } from "../../entities/TenantName";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/class-names";
import { serverNow } from "../../ui/clock";
import { Curl, JsonViewer } from "../../ui/Code";
import { Combobox } from "../../ui/Combobox";
import { Drawer } from "../../ui/Dialog";
import { EndlessTable, ListPage } from "../../ui/EndlessTable";
import { EmptyState } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { exactTime, shortId } from "../../ui/format";
import { Id } from "../../ui/Id";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { TwoLines, type Column } from "../../ui/Table";
import { TextFilter } from "../../ui/TextFilter";
import { Time } from "../../ui/Time";
import { WITHIN, type AuditSearch } from "./search";

const route = getRouteApi("/in/audit");

/** Actions that are looked for most; any other can be typed. */
const ACTIONS = [
  "delivery.cancel", "delivery.retry", "delivery.skip", "event.delete_payload", "event_type.change", "event_type.create", "event_type.delete",
  "job.cancel", "key.create", "key.delete", "session.create", "session.delete", "subscription.cancel_pending", "subscription.change",
  "subscription.create", "subscription.delete", "subscription.pause", "subscription.reactivate", "subscription.replay", "subscription.resume",
  "subscription.retry_failed", "subscription.rotate_secret", "subscription.show_secret", "tenant.change", "tenant.create", "tenant.delete",
  "tenant.secret", "tenant.show_secret", "user.change", "user.create", "user.delete", "user.password",
].map((value) => ({ value }));
const THINGS = ["delivery", "event", "event_type", "job", "key", "session", "subscription", "tenant", "user"].map((value) => ({ value }));

function auditQuery({ within, ...filters }: AuditSearch) {
  return endless(["audit", { within, ...filters }], (page, signal) => {
    const since = within && new Date(serverNow() - WITHIN[within] * 1_000).toISOString();
    return data(api.GET("/api/v1/audit", { params: { query: { ...filters, ...page, ...(since ? { since } : {}) } }, signal }));
  });
}

const COLUMNS: readonly Column<AuditEntry>[] = [
  { key: "at", head: "When", width: "4.5rem", cell: (entry) => <span className="text-muted"><Time at={entry.at} /></span> },
  { key: "caller", head: "Who", width: "minmax(5rem,1fr)", cell: (entry) => <span title={entry.caller} className="font-medium">{entry.caller}</span> },
  { key: "action", head: "Did", width: "minmax(8rem,1.2fr)", cell: (entry) => <Action action={entry.action} /> },
  { key: "thing", head: "To", width: "minmax(7rem,1.1fr)", from: "sm", cell: (entry) => <span title={entry.thingId ?? undefined} className="font-mono text-sm text-muted">{entry.thingId ? shortened(entry.thingId) : "–"}</span> },
  { key: "fields", head: "With", width: "minmax(7rem,1.4fr)", from: "md", cell: (entry) => <span className="text-sm text-muted">{fields(entry.changes) || "–"}</span> },
  { key: "tenant", head: "Tenant", width: "minmax(4rem,.6fr)", from: "lg", cell: (entry) => (entry.tenant ? <TenantName id={entry.tenant} /> : <span className="text-muted">–</span>) },
];

const NARROW = {
  head: "What was done",
  cell: (entry: AuditEntry) => (
    <TwoLines
      first={<Action action={entry.action} />} aside={<Time at={entry.at} />}
      second={<span className="truncate">{entry.caller}</span>} end={<span className="font-mono text-muted">{entry.thingId ? shortened(entry.thingId) : ""}</span>}
    />
  ),
};

const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/i;
/** Ids are shortened; names are not. */
const shortened = (id: string) => (UUID.test(id) ? shortId(id) : id);

function fields(changes: unknown): string {
  return typeof changes === "object" && changes !== null ? Object.keys(changes).join(", ") : "";
}

function Action({ action }: { action: string }) {
  const isEnd = /\.(delete|delete_\w+|cancel)$/.test(action);
  return <span title={action} className={cx("font-mono text-sm", isEnd && "text-bad")}>{action}</span>;
}

/** Who changed what, newest first. */
export function AuditPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [opened, setOpened] = useState<AuditEntry>();
  const list = useInfiniteQuery({ ...auditQuery(search), refetchInterval: usePageInterval(5_000), placeholderData: (before) => before });
  const change = (changed: { [K in keyof AuditSearch]?: AuditSearch[K] | undefined }) =>
    void navigate({ search: (now) => Object.fromEntries(Object.entries({ ...now, ...changed }).filter(([, value]) => value !== undefined)), replace: true });
  const isFiltered = Object.keys(search).length > 0;
  return (
    <ListPage
      head={<PageHead title="Audit log" />}
      filters={
        <search className="mb-2 flex flex-wrap gap-2" aria-label="Audit log">
          <TextFilter type="search" label="Who" placeholder="Anybody: a key’s name, an e-mail" value={search.caller} onChange={(caller) => change({ caller })} className="min-w-full flex-1 sm:min-w-56 sm:max-w-80" />
          <div className="w-44 min-w-[calc(50%-0.25rem)] flex-1 sm:min-w-0 sm:flex-none"><Combobox label="Action" placeholder="Any action" mono options={ACTIONS} value={search.action ?? ""} onChange={(action) => change({ action: action || undefined })} /></div>
          <div className="w-36 min-w-[calc(50%-0.25rem)] flex-1 sm:min-w-0 sm:flex-none"><Combobox label="Thing" placeholder="Any thing" mono options={THINGS} value={search.thing ?? ""} onChange={(thing) => change({ thing: thing || undefined })} /></div>
          <TextFilter label="Id or name of the thing" placeholder="Any id" mono value={search.thingId} onChange={(thingId) => change({ thingId })} className="w-40 min-w-[calc(50%-0.25rem)] flex-1 sm:min-w-0 sm:flex-none" />
          <Select aria-label="Done within" value={search.within ?? ""} onChange={(event) => change({ within: (event.target.value || undefined) as AuditSearch["within"] })} className="w-32 min-w-[calc(50%-0.25rem)] flex-1 sm:min-w-0 sm:flex-none">
            <option value="">Any time</option>
            {Object.keys(WITHIN).map((within) => <option key={within} value={within}>Last {within.replace("h", " h").replace("d", " d")}</option>)}
          </Select>
          {isFiltered && <Button kind="quiet" icon="cross" onClick={() => void navigate({ search: {} })}>All</Button>}
        </search>
      }
    >
      <EndlessTable
        list={list} what="The audit log" label="Audit log" rowKey={(entry) => entry.id} columns={COLUMNS} narrow={NARROW} onOpen={setOpened}
        empty={isFiltered
          ? <EmptyState icon="search" title="Nothing of that kind was done"><Button onClick={() => void navigate({ search: {} })}>Show all</Button></EmptyState>
          : <EmptyState icon="audit" title="Nothing has been changed yet"><p className="max-w-prose">Everything that changes the relay stands here, with who did it: also looking at a secret. Posting events does not.</p><Curl path="/api/v1/audit?limit=10" /></EmptyState>}
      />
      <Drawer open={opened !== undefined} onClose={() => setOpened(undefined)} title={opened?.action ?? ""} about={opened && <>by {opened.caller}, <Time at={opened.at} /></>}>
        {opened && <Entry entry={opened} onOnly={(only) => { setOpened(undefined); change(only); }} />}
      </Drawer>
    </ListPage>
  );
}

function Entry({ entry, onOnly }: { entry: AuditEntry; onOnly: (search: AuditSearch) => void }) {
  const only = (search: AuditSearch, name: string, shown: ReactNode) => (
    <button type="button" title={name} onClick={() => onOnly(search)} className="min-h-6 max-w-full truncate text-left text-accent hover:underline">{shown}</button>
  );
  const to = thingLink(entry);
  return (
    <div className="flex flex-col gap-3">
      <Facts rows={[
        ["When", <span key="a">{exactTime(Date.parse(entry.at))}</span>],
        ["Who", only({ caller: entry.caller }, `Only what ${entry.caller} did`, entry.caller)],
        entry.keyId ? ["With the key", <Id key="k" id={entry.keyId} />] : null,
        entry.tenant ? ["Of the tenant", <TenantName key="t" id={entry.tenant} />] : null,
        ["Did", only({ action: entry.action }, `Only ${entry.action}`, <span className="font-mono text-sm">{entry.action}</span>)],
        entry.thingId ? ["To", <span key="i" className="flex min-w-0 items-center gap-3"><Id id={entry.thingId} full={!UUID.test(entry.thingId)} />{to}</span>] : null,
        entry.thingId ? ["", only({ thing: entry.thing, thingId: entry.thingId }, "Everything that was done to it", "everything done to it")] : null,
        ["Request", <Id key="r" id={entry.requestId} />],
      ]} />
      <Panel title="What was given" flush>
        {entry.changes === null || entry.changes === undefined ? <p className="p-3 text-muted">Nothing: the action says it all.</p> : <JsonViewer value={entry.changes} label="what was given" />}
      </Panel>
      <p className="text-sm text-muted">Values that may be secret are not kept: *** stands for them.</p>
    </div>
  );
}

/** Where the thing is looked at, where it has a page. */
function thingLink({ thing, thingId }: AuditEntry): ReactNode {
  if (!thingId) return null;
  const look = "shrink-0 text-accent hover:underline";
  if (thing === "event_type") return <Link to="/event-types/$name" params={{ name: thingId }} className={look}>look at it</Link>;
  if (thing === "tenant") return <Link to="/tenants/$id" params={{ id: thingId }} className={look}>look at it</Link>;
  if (thing === "event") return <Link to="/events/$id" params={{ id: thingId }} className={look}>look at it</Link>;
  return null;
}
