import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { usePageInterval } from "../../api/pages";
import { adviceFor } from "../../api/problem";
import { useBarred, useSession } from "../../api/session";
import type { ApiKey } from "../../api/types";
import { TenantName } from "../../entities/TenantName";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { ConfirmByName } from "../../ui/Dialog";
import { EndlessTable, ListPage } from "../../ui/EndlessTable";
import { EmptyState } from "../../ui/Feedback";
import { PageHead } from "../../ui/Panel";
import { Badge, State } from "../../ui/State";
import { TwoLines, type Column } from "../../ui/Table";
import { TextFilter } from "../../ui/TextFilter";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { MakeKey } from "./MakeKey";
import { keysQuery } from "./queries";
import { inShort } from "./scopes";

const route = getRouteApi("/in/keys");

/** Who may come in by a key, and as what. */
export function KeysPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const session = useSession();
  const barred = useBarred("admin");
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey>();
  // When a key was last used, nothing tells.
  const list = useInfiniteQuery({ ...keysQuery(search), refetchInterval: usePageInterval(15_000) });
  const isFiltered = search.tenant !== undefined;
  return (
    <ListPage
      head={<PageHead title="Keys" actions={<Button kind="primary" icon="plus" barred={barred} onClick={() => setMaking(true)}>Make a key</Button>} />}
      filters={session.tenant === null && (
        <search className="mb-2 flex" aria-label="Keys">
          <TextFilter value={search.tenant} onChange={(tenant) => void navigate({ search: tenant ? { tenant } : {}, replace: true })} type="search" label="Tenant" placeholder="Any tenant" className="w-60" />
        </search>
      )}
    >
      <EndlessTable
        list={list} what="Keys" label="Keys" rowKey={(key) => key.id}
        columns={keyColumns({ withTenant: session.tenant === null, barred, onRevoke: setRevoking })} narrow={NARROW_KEY}
        empty={isFiltered
          ? <EmptyState icon="search" title="No key of that tenant"><Button onClick={() => void navigate({ search: {} })}>Show all keys</Button></EmptyState>
          : (
            <EmptyState icon="key" title="No key has been made yet">
              <p className="max-w-prose">Who only has the admin key can do everything with it. Give each service, and each customer, a key that may do no more than it has to.</p>
              <Curl method="POST" path="/api/v1/keys" body={{ name: "orders-service", preset: "service" }} />
              <Button kind="primary" icon="plus" barred={barred} onClick={() => setMaking(true)}>Make a key</Button>
            </EmptyState>
          )}
      />
      {making && <MakeKey tenant={search.tenant} onClose={() => setMaking(false)} />}
      <RevokeKey apiKey={revoking} onClose={() => setRevoking(undefined)} />
    </ListPage>
  );
}

/** Also for the keys of one tenant. */
export function keyColumns({ withTenant, barred, onRevoke }: { withTenant: boolean; barred: string | false; onRevoke: (key: ApiKey) => void }): Column<ApiKey>[] {
  return [
    {
      key: "name", head: "Name", width: "minmax(9rem,1.4fr)",
      cell: (key) => <span className="flex items-baseline gap-2"><span className="truncate font-medium" title={key.name}>{key.name}</span><span className="hidden shrink-0 font-mono text-sm text-muted sm:inline">{key.prefix}…</span></span>,
    },
    { key: "state", head: "State", width: "6rem", cell: (key) => <State plain state={key.state} /> },
    { key: "scopes", head: "May", width: "minmax(6rem,1fr)", from: "sm", cell: (key) => <span className="flex gap-1 overflow-hidden" title={key.scopes.join(", ")}>{inShort(key.scopes).map((word) => <Badge key={word} tone={word === "admin" ? "busy" : "quiet"}>{word}</Badge>)}</span> },
    ...(withTenant ? [{ key: "tenant", head: "Tenant", width: "minmax(5rem,.8fr)", from: "md", cell: (key: ApiKey) => (key.tenant ? <TenantName id={key.tenant} /> : <span className="text-muted">all</span>) } as const] : []),
    { key: "used", head: "Last used", width: "5.5rem", from: "sm", cell: (key) => (key.lastUsedAt ? <span className="text-muted"><Time at={key.lastUsedAt} /></span> : <span className="text-muted">never</span>) },
    { key: "expires", head: "Ends", width: "5.5rem", from: "md", cell: (key) => (key.revokedAt ? <span className="text-muted"><Time at={key.revokedAt} /></span> : key.expiresAt ? <Time at={key.expiresAt} /> : <span className="text-muted">never</span>) },
    { key: "made", head: "Made", width: "5.5rem", from: "lg", cell: (key) => <span className="text-muted"><Time at={key.createdAt} /></span> },
    { key: "do", stays: "after", head: <span className="sr-only">Actions</span>, width: "4.5rem", align: "right", cell: (key) => (key.state === "active" ? <Button kind="quiet" className="h-6 px-2" barred={barred} onClick={() => onRevoke(key)} aria-label={`Revoke ${key.name}`}>Revoke</Button> : null) },
  ];
}

export const NARROW_KEY = {
  head: "Key",
  cell: (key: ApiKey) => (
    <TwoLines
      first={<span className="font-medium">{key.name}</span>} aside={<span className="font-mono">{key.prefix}…</span>}
      second={<><State plain state={key.state} /><span className="truncate text-muted">{inShort(key.scopes).join(", ")}</span></>} end={key.tenant && <TenantName id={key.tenant} />}
    />
  ),
};

export function RevokeKey({ apiKey, onClose }: { apiKey: ApiKey | undefined; onClose: () => void }) {
  const session = useSession();
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: (key: ApiKey) => data(api.DELETE("/api/v1/keys/{id}", { params: { path: { id: key.id } } })),
    onSuccess: async (_, key) => {
      onClose();
      toast({ text: `${key.name} is revoked`, detail: "It lets nobody in any more." });
      await client.invalidateQueries({ queryKey: ["keys"] });
    },
    onError: (error) => toast({ tone: "bad", text: "The key was not revoked", detail: adviceFor(error).title }),
  });
  if (!apiKey) return null;
  const isOwn = session.key?.id === apiKey.id;
  return (
    <ConfirmByName
      open onClose={onClose} onConfirm={() => revoke.mutate(apiKey)} busy={revoke.isPending} title="Revoke the key" name={apiKey.name} verb="Revoke for good"
      about={<>Whoever uses it is refused from now on; there is no way back. {apiKey.lastUsedAt ? <>It was last used <Time at={apiKey.lastUsedAt} />.</> : "It was never used."}{isOwn && <strong className="font-medium text-bad"> It is the key that you are signed in with: you are signed out.</strong>}</>}
    />
  );
}
