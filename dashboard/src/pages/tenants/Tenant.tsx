import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor, isNothing, Problem } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { ApiKey, Tenant } from "../../api/types";
import { EXAMPLE_RECEIVER } from "../../entities/example";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { ConfirmByName } from "../../ui/Dialog";
import { EmptyState, ErrorState, Notice, Skeleton, SkeletonRows, TitleSkeleton } from "../../ui/Feedback";
import { exact } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { Menu, MenuItem } from "../../ui/Menu";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { Table } from "../../ui/Table";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { keyColumns, NARROW_KEY, RevokeKey } from "../keys/Keys";
import { MakeKey } from "../keys/MakeKey";
import { keysQuery } from "../keys/queries";
import { rateInWords } from "./limits";
import { tenantQuery } from "./queries";
import { SecretPanel } from "./Secret";
import { TenantForm } from "./TenantForm";

const route = getRouteApi("/in/tenants/$id");

/** One tenant: its limits, its secret, and what is its own. */
export function TenantPage() {
  const { id } = route.useParams();
  const query = useQuery({ ...tenantQuery(id), refetchInterval: useInterval(30_000) });
  const tenant = query.data;
  return (
    <>
      <nav aria-label="Where this is" className="mb-1"><Link to="/tenants" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Tenants</Link></nav>
      {isNothing(query) ? (
        query.error instanceof Problem && query.error.status === 404 ? <Unregistered id={id} /> : <><PageHead title={id} /><Panel flush><ErrorState what="This tenant" error={query.error} onRetry={() => void query.refetch()} /></Panel></>
      ) : (
        <>
          <PageHead
            title={tenant ? <bdi>{tenant.name}</bdi> : <TitleSkeleton of="Tenant" />}
            lead={<span className="flex items-center gap-3">{tenant && <State state={tenant.status} />}<Id id={id} full /></span>}
            actions={tenant && <Actions tenant={tenant} />}
          />
          {tenant?.status === "inactive" && <div className="mb-3"><Notice tone="held" icon="pause">Every request with its keys is refused, and so are events that others post for it. What is pending goes on.</Notice></div>}
          <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,26rem)]">
            <div className="flex min-w-0 flex-col gap-3">
              <Subscriptions id={id} />
              <Keys id={id} />
            </div>
            <div className="flex min-w-0 flex-col gap-3">
              <Limits tenant={tenant} />
              <SecretPanel tenant={id} />
            </div>
          </div>
        </>
      )}
    </>
  );
}

/** A tenant need not be registered to be one. */
function Unregistered({ id }: { id: string }) {
  return (
    <>
      <PageHead title={id} />
      <Panel>
        <EmptyState icon="tenants" title="This tenant is not registered">
          <p className="max-w-prose">It is active and has no limits. Registered under the same id, it gets a name, a status and limits.</p>
          <Curl method="POST" path="/api/v1/tenants" body={{ id, name: id }} />
          <Link to="/events" search={{ tenant: id }} className="font-medium text-accent underline underline-offset-2">Its events</Link>
        </EmptyState>
      </Panel>
    </>
  );
}

function Actions({ tenant }: { tenant: Tenant }) {
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const barred = useBarred("admin");
  const [open, setOpen] = useState<"edit" | "delete">();
  const keep = async (changed: Tenant) => {
    client.setQueryData(tenantQuery(tenant.id).queryKey, changed);
    await client.invalidateQueries({ queryKey: ["tenants"] });
  };
  const change = useMutation({
    mutationFn: (status: Tenant["status"]) => data(api.PATCH("/api/v1/tenants/{id}", { params: { path: { id: tenant.id } }, body: { status } })),
    onMutate: (status) => {
      const before = client.getQueryData(tenantQuery(tenant.id).queryKey);
      client.setQueryData(tenantQuery(tenant.id).queryKey, { ...tenant, status });
      return before;
    },
    onSuccess: async (changed) => {
      toast({ text: `${tenant.name} is ${changed.status} now`, undo: () => change.mutate(changed.status === "active" ? "inactive" : "active") });
      await keep(changed);
    },
    onError: (error, _, before) => {
      client.setQueryData(tenantQuery(tenant.id).queryKey, before);
      toast({ tone: "bad", text: "The status was not changed", detail: adviceFor(error).title });
    },
  });
  const remove = useMutation({
    mutationFn: () => data(api.DELETE("/api/v1/tenants/{id}", { params: { path: { id: tenant.id } } })),
    onSuccess: async () => {
      toast({ text: `${tenant.name} is deleted` });
      await navigate({ to: "/tenants" });
      client.removeQueries({ queryKey: ["tenant", tenant.id] });
      await client.invalidateQueries({ queryKey: ["tenants"] });
    },
  });
  const isActive = tenant.status === "active";
  const close = () => {
    remove.reset();
    setOpen(undefined);
  };
  return (
    <>
      <Button icon="menu" barred={barred} onClick={() => setOpen("edit")}>Change</Button>
      <Menu trigger={<Button icon="dots" bare>More</Button>}>
        <MenuItem icon={isActive ? "pause" : "play"} barred={barred} onSelect={() => change.mutate(isActive ? "inactive" : "active")}>{isActive ? "Set inactive" : "Set active"}</MenuItem>
        <MenuItem icon="trash" danger barred={barred} onSelect={() => setOpen("delete")}>Delete…</MenuItem>
      </Menu>
      {open === "edit" && <TenantForm tenant={tenant} onClose={close} />}
      <ConfirmByName
        open={open === "delete"} onClose={close} onConfirm={() => remove.mutate()} busy={remove.isPending} title="Delete the tenant" name={tenant.name} verb="Delete for good"
        about={<>Only where nothing of it is left: no subscription, key, delivery or event. Until then it can be set inactive.{remove.isError && <span role="alert" className="mt-1.5 flex gap-1.5 font-medium text-bad"><Icon name="warning" size={14} className="mt-0.5" />{adviceFor(remove.error).title}.</span>}</>}
      />
    </>
  );
}

function Limits({ tenant }: { tenant: Tenant | undefined }) {
  if (!tenant) return <Panel title="About"><Skeleton className="h-24 w-full" /></Panel>;
  const { limits } = tenant;
  const none = <span className="text-muted">no limit</span>;
  const number = (value: number | null | undefined) => (value === null || value === undefined ? none : exact(value));
  return (
    <Panel title="About">
      <Facts rows={[
        ["Its keys may post", rateInWords(limits.ingestRate) ?? none],
        ["Most subscriptions", number(limits.maxSubscriptions)],
        ["Most in a backlog", number(limits.maxBacklog)],
        ["Events", <Link key="e" to="/events" search={{ tenant: tenant.id }} className="text-accent hover:underline">what it received</Link>],
        ["Registered", <Time key="c" at={tenant.createdAt} />],
        ["Changed", <Time key="u" at={tenant.updatedAt} />],
      ]} />
    </Panel>
  );
}

function Subscriptions({ id }: { id: string }) {
  const query = useQuery({
    queryKey: ["subscriptions", { tenant: id, limit: 100 }],
    queryFn: async ({ signal }) => {
      const page = await data(api.GET("/api/v1/subscriptions", { params: { query: { tenant: id, limit: 100 } }, signal }));
      return { rows: page.data.map((one) => ({ id: one.id, name: one.name, url: one.url, state: one.state })), more: Boolean(page.nextCursor) };
    },
    refetchInterval: useInterval(false),
  });
  const rows = query.data?.rows;
  return (
    <Panel title="Subscriptions" flush aside={rows && rows.length > 0 && <span className="text-sm text-muted">{query.data?.more ? "the newest 100" : rows.length}</span>}>
      {query.isError && !rows ? <ErrorState what="Its subscriptions" error={query.error} onRetry={() => void query.refetch()} />
        : !rows ? <SkeletonRows rows={3} />
          : rows.length === 0 ? <EmptyState icon="subscriptions" title="It has no subscription"><Curl method="POST" path="/api/v1/subscriptions" body={{ name: "First", url: EXAMPLE_RECEIVER, eventTypes: ["*"], tenant: id }} /></EmptyState>
            : <Table
                label="Subscriptions" rows={rows} rowKey={(row) => row.id}
                columns={[
                  { key: "name", head: "Name", width: "minmax(8rem,1fr)", cell: (row) => <SubscriptionName id={row.id} name={row.name} /> },
                  { key: "state", head: "State", width: "7rem", cell: (row) => <State plain state={row.state} /> },
                  { key: "url", head: "Address", width: "minmax(8rem,1.4fr)", from: "sm", cell: (row) => <span title={row.url} className="font-mono text-sm text-muted">{row.url}</span> },
                ]}
              />}
    </Panel>
  );
}

function Keys({ id }: { id: string }) {
  const barred = useBarred("admin");
  const list = useInfiniteQuery(keysQuery({ tenant: id }));
  const [revoking, setRevoking] = useState<ApiKey>();
  const [making, setMaking] = useState(false);
  const rows = list.data?.pages[0]?.rows;
  return (
    <Panel title="Keys" flush aside={<Button kind="quiet" icon="plus" barred={barred} onClick={() => setMaking(true)}>Make a key</Button>}>
      {list.isError && !rows ? <ErrorState what="Its keys" error={list.error} onRetry={() => void list.refetch()} />
        : !rows ? <SkeletonRows rows={2} />
          : rows.length === 0 ? <p className="px-3 py-2.5 text-muted">It has no key. With one of the kind “Client” its people sign in here, and see what is theirs.</p>
            : <Table label="Keys" rows={rows} rowKey={(key) => key.id} narrow={NARROW_KEY} columns={keyColumns({ withTenant: false, barred, onRevoke: setRevoking })} foot={list.hasNextPage && <p className="px-3 py-2 text-sm text-muted"><Link to="/keys" search={{ tenant: id }} className="text-accent hover:underline">All of its keys</Link></p>} />}
      {making && <MakeKey tenant={id} onClose={() => setMaking(false)} />}
      <RevokeKey apiKey={revoking} onClose={() => setRevoking(undefined)} />
    </Panel>
  );
}
