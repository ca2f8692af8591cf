import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { usePageInterval } from "../../api/pages";
import { useBarred } from "../../api/session";
import type { Tenant } from "../../api/types";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { EndlessTable, ListPage } from "../../ui/EndlessTable";
import { EmptyState } from "../../ui/Feedback";
import { exact } from "../../ui/format";
import { PageHead } from "../../ui/Panel";
import { State } from "../../ui/State";
import type { Column } from "../../ui/Table";
import { Time } from "../../ui/Time";
import { rateInWords } from "./limits";
import { tenantsQuery } from "./queries";
import { TenantForm } from "./TenantForm";

const route = getRouteApi("/in/tenants");
const none = <span className="text-muted">no limit</span>;

const COLUMNS: readonly Column<Tenant>[] = [
  {
    key: "name", head: "Name", width: "minmax(9rem,1.3fr)",
    cell: (tenant) => <Link to="/tenants/$id" params={{ id: tenant.id }} tabIndex={-1} title={tenant.name} className="font-medium hover:underline">{tenant.name}</Link>,
  },
  { key: "id", head: "Id", width: "minmax(7rem,1fr)", from: "sm", cell: (tenant) => <span title={tenant.id} className="font-mono text-sm text-muted">{tenant.id}</span> },
  { key: "status", head: "Status", width: "6rem", cell: (tenant) => <State plain state={tenant.status} /> },
  { key: "rate", head: "Its keys may post", width: "minmax(8rem,.9fr)", from: "md", cell: (tenant) => rateInWords(tenant.limits.ingestRate) ?? none },
  { key: "subscriptions", head: "Subscriptions", width: "6.5rem", from: "md", align: "right", cell: (tenant) => (tenant.limits.maxSubscriptions === null || tenant.limits.maxSubscriptions === undefined ? none : exact(tenant.limits.maxSubscriptions)) },
  { key: "backlog", head: "Backlog of each", width: "7rem", from: "lg", align: "right", cell: (tenant) => (tenant.limits.maxBacklog === null || tenant.limits.maxBacklog === undefined ? none : exact(tenant.limits.maxBacklog)) },
  { key: "changed", head: "Changed", width: "5.5rem", from: "sm", align: "right", cell: (tenant) => <span className="text-muted"><Time at={tenant.updatedAt} /></span> },
];

/** Whose subscriptions and events they are, with a name, a status and limits. */
export function TenantsPage() {
  const navigate = route.useNavigate();
  const barred = useBarred("admin");
  const [making, setMaking] = useState(false);
  const list = useInfiniteQuery({ ...tenantsQuery, refetchInterval: usePageInterval(30_000) });
  const make = <Button kind="primary" icon="plus" barred={barred} onClick={() => setMaking(true)}>Register a tenant</Button>;
  return (
    <ListPage head={<PageHead title="Tenants" actions={make} />}>
      <EndlessTable
        list={list} what="Tenants" label="Tenants" rowKey={(tenant) => tenant.id} columns={COLUMNS}
        onOpen={(tenant) => void navigate({ to: "/tenants/$id", params: { id: tenant.id } })}
        empty={
          <EmptyState icon="tenants" title="No tenant is registered">
            <p className="max-w-prose">A tenant is whose events and subscriptions they are. Any text names one; registered, it has limits, can be set inactive, and can share one secret.</p>
            <Curl method="POST" path="/api/v1/tenants" body={{ id: "acme", name: "Acme Ltd", limits: { ingestRate: { perMinute: 600 }, maxSubscriptions: 20 } }} />
            {make}
          </EmptyState>
        }
      />
      {making && <TenantForm onClose={() => setMaking(false)} onMade={(id) => void navigate({ to: "/tenants/$id", params: { id } })} />}
    </ListPage>
  );
}
