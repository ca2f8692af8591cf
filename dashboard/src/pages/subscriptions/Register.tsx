import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { useSession } from "../../api/session";
import type { Subscription } from "../../api/types";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";
import { PageHead, Panel } from "../../ui/Panel";
import { bodyOf, EMPTY, type Draft } from "./draft";
import { SubscriptionForm } from "./Form";
import { SecretAndSnippet } from "./Secrets";

/** Registers a subscription, then shows its secret, once. */
export function RegisterPage() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const { tenant } = useSession();
  const [made, setMade] = useState<Subscription>();
  const save = async (draft: Draft) => {
    const subscription = await data(api.POST("/api/v1/subscriptions", { body: bodyOf(draft) }));
    setMade(subscription);
    window.scrollTo({ top: 0 });
    await client.invalidateQueries({ queryKey: ["subscriptions"] });
  };
  if (made) return <Registered made={made} />;
  return (
    <>
      <Back />
      <PageHead title="Register a subscription" />
      <SubscriptionForm initial={{ ...EMPTY, tenant: tenant ?? "" }} save={save} onLeave={() => void navigate({ to: "/subscriptions" })} />
    </>
  );
}

function Back() {
  return <nav aria-label="Where this is" className="mb-1"><Link to="/subscriptions" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Subscriptions</Link></nav>;
}

function Registered({ made }: { made: Subscription }) {
  const navigate = useNavigate();
  const isTenants = made.secretFrom === "tenant";
  const go = () => void navigate({ to: "/subscriptions/$id", params: { id: made.id } });
  return (
    <>
      <Back />
      <PageHead title={`${made.name} is registered`} lead={<span role="status">Events that match go out from now on.</span>} />
      <div className="max-w-3xl">
        <Panel title={isTenants ? "It signs with its tenant's secret" : made.publicKey && !made.secret ? "Give its public key to the receiver" : "Give this secret to the receiver"}>
          <p className="mb-3 text-muted">{made.publicKey && !made.secret ? "The private half is shown to nobody." : "It is shown once here. Later it takes “Show secret” on the subscription's page, and that it was shown is noted in the audit log."}</p>
          <SecretAndSnippet secret={made.secret} publicKey={made.publicKey} />
          <div className="mt-4 flex gap-2"><Button kind="primary" onClick={go}>I have kept it</Button></div>
        </Panel>
      </div>
    </>
  );
}
