import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import type { Subscription } from "../../api/types";
import { ErrorState, Notice, SkeletonRows } from "../../ui/Feedback";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { PageHead, Panel } from "../../ui/Panel";
import { toast } from "../../ui/toasts";
import { changesOf, draftOf, type Draft } from "./draft";
import { SubscriptionForm } from "./Form";
import { subscriptionQuery } from "./queries";

const route = getRouteApi("/in/subscriptions/$id/edit");

/** Changes a subscription: only what was changed here is sent. */
export function EditPage() {
  const { id } = route.useParams();
  const query = useQuery(subscriptionQuery(id));
  return (
    <>
      <nav aria-label="Where this is" className="mb-1"><Link to="/subscriptions/$id" params={{ id }} className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />{query.data?.name ?? "Subscription"}</Link></nav>
      <PageHead title={query.data ? `Edit ${query.data.name}` : "Edit"} lead={<Id id={id} />} />
      {query.data ? <Editing latest={query.data} /> : query.isError ? <Panel flush><ErrorState what="This subscription" error={query.error} onRetry={() => void query.refetch()} /></Panel> : <Panel flush><SkeletonRows rows={8} /></Panel>}
    </>
  );
}

function Editing({ latest }: { latest: Subscription }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  // What one began with: a change that comes in meanwhile does not take away what was typed.
  const [begun] = useState(latest);
  const [initial] = useState(() => draftOf(latest));
  const leave = () => navigate({ to: "/subscriptions/$id", params: { id: begun.id } });
  const save = async (draft: Draft) => {
    const changes = changesOf(draft, begun);
    if (Object.keys(changes).length > 0) {
      const now = await data(api.PATCH("/api/v1/subscriptions/{id}", { params: { path: { id: begun.id } }, body: changes }));
      client.setQueryData(subscriptionQuery(begun.id).queryKey, now);
      toast({ text: `${now.name} is changed`, detail: "It holds for the next attempt." });
      await Promise.all([client.invalidateQueries({ queryKey: ["subscription", begun.id] }), client.invalidateQueries({ queryKey: ["subscriptions"] })]);
    }
    await leave();
  };
  return (
    <>
      {latest.updatedAt !== begun.updatedAt && <div className="mb-3"><Notice tone="busy" icon="warning">Somebody else changed it meanwhile. Only what you changed here is saved; the rest stays as they left it.</Notice></div>}
      <SubscriptionForm initial={initial} stored={begun} save={save} onLeave={() => void leave()} />
    </>
  );
}
