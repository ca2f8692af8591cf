import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { LiveSecret } from "../../api/types";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { ErrorState } from "../../ui/Feedback";
import { Field, Input, Select } from "../../ui/Field";
import { CopyButton } from "../../ui/Id";
import { Panel } from "../../ui/Panel";
import { Badge } from "../../ui/State";
import { Countdown } from "../../ui/Time";
import { pastedFault } from "../../ui/pasted";
import { toast } from "../../ui/toasts";

/** The secret that a tenant's subscriptions may share. It is asked for when somebody wants to see it, and kept nowhere but in the page. */
export function SecretPanel({ tenant }: { tenant: string }) {
  const barred = useBarred("admin");
  const [rotating, setRotating] = useState(false);
  // Not a query: what it answers must not stay in the cache, and each look stands in the audit log.
  const show = useMutation({
    gcTime: 0,
    mutationFn: async () => {
      try {
        return (await data(api.GET("/api/v1/tenants/{id}/secret", { params: { path: { id: tenant } } }))).secrets;
      } catch (problem) {
        if (problem instanceof Problem && problem.status === 404) return [];
        throw problem;
      }
    },
  });
  const secrets = show.data;
  return (
    <Panel title="Secret" aside={secrets && secrets.length > 0 && <Button kind="quiet" onClick={() => show.reset()}>Hide</Button>}>
      {show.isError ? <ErrorState what="The secret" error={show.error} onRetry={() => show.mutate()} />
        : !secrets ? (
          <div className="flex flex-col items-start gap-2">
            <p className="text-muted">What subscriptions of it sign with whose secret is the tenant’s. That you look is noted in the audit log.</p>
            <div className="flex flex-wrap gap-2">
              <Button icon="key" busy={show.isPending} barred={barred} onClick={() => show.mutate()}>Show</Button>
              <Button icon="retry" barred={barred} onClick={() => setRotating(true)}>Rotate</Button>
            </div>
          </div>
        ) : secrets.length === 0 ? (
          <div className="flex flex-col items-start gap-2">
            <p className="text-muted">It has none: each of its subscriptions signs with its own.</p>
            <Button icon="plus" barred={barred} onClick={() => setRotating(true)}>Make one</Button>
          </div>
        ) : (
          <div className="flex flex-col items-start gap-2">
            <ul className="w-full divide-y">{secrets.map((one, index) => <One key={one.secret ?? index} secret={one} isNewest={index === 0} />)}</ul>
            <Button icon="retry" barred={barred} onClick={() => setRotating(true)}>Rotate</Button>
          </div>
        )}
      {rotating && <Rotate tenant={tenant} onClose={() => setRotating(false)} onDone={() => show.mutate()} />}
    </Panel>
  );
}

function One({ secret, isNewest }: { secret: LiveSecret; isNewest: boolean }) {
  return (
    <li className="flex min-w-0 items-center gap-2 py-1">
      <CopyButton text={secret.secret ?? ""} what="Secret" className="min-w-0 flex-1 font-mono text-sm">{secret.secret}</CopyButton>
      {secret.until ? <span className="shrink-0 text-sm text-muted">for another <Countdown until={secret.until} past="moment" /></span> : isNewest && <Badge tone="good">signs</Badge>}
    </li>
  );
}

const OVERLAPS: readonly [string, string][] = [["", "As the settings say"], ["0", "Ends at once"], ["3600", "An hour"], ["86400", "A day"], ["604800", "A week"]];

function Rotate({ tenant, onClose, onDone }: { tenant: string; onClose: () => void; onDone: () => void }) {
  const form = useId();
  const [overlap, setOverlap] = useState("");
  const [own, setOwn] = useState("");
  const rotate = useMutation({
    gcTime: 0,
    mutationFn: () => data(api.POST("/api/v1/tenants/{id}/secret", { params: { path: { id: tenant } }, body: { ...(overlap === "" ? {} : { overlapSeconds: Number(overlap) }), ...(own ? { secret: own } : {}) } })),
    onSuccess: () => {
      toast({ text: "There is a new secret", detail: "Give it to those who check signatures." });
      onClose();
      onDone();
    },
  });
  const pasted = pastedFault(own);
  const problem = rotate.error instanceof Problem ? rotate.error : undefined;
  const elsewhere = rotate.isError && !problem?.faults.some((fault) => ["secret", "overlapSeconds"].includes(fault.path));
  return (
    <Dialog
      open onClose={onClose} title="Rotate the secret" about="Until the overlap has passed, deliveries carry both signatures, so that receivers can go over."
      foot={<><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" form={form} busy={rotate.isPending}>Rotate</Button></>}
    >
      <form
        id={form} noValidate className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!pasted && !rotate.isPending) rotate.mutate();
        }}
      >
        <Field label="The old one signs too for" fault={problem?.fault("overlapSeconds")}>
          <Select value={overlap} onChange={(event) => setOverlap(event.target.value)} className="w-full">{OVERLAPS.map(([value, label]) => <option key={value} value={value}>{label}</option>)}</Select>
        </Field>
        <Field label="Secret" optional hint="One that was made elsewhere. By default one is made." fault={(pasted && `secret ${pasted}`) ?? problem?.fault("secret")}><Input mono type="password" autoComplete="off" value={own} onChange={(event) => setOwn(event.target.value)} placeholder="whsec_…" /></Field>
        {elsewhere && <p role="alert" className="text-bad">{adviceFor(rotate.error).title}</p>}
      </form>
    </Dialog>
  );
}
