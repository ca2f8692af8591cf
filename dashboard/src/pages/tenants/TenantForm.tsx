import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import type { Tenant } from "../../api/types";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Field, Input, Select } from "../../ui/Field";
import { toast } from "../../ui/toasts";
import { draftOf, faultsOf, limitsOf } from "./limits";
import { tenantQuery } from "./queries";

/** Registers a tenant, or changes one. */
export function TenantForm({ tenant, onClose, onMade }: { tenant?: Tenant; onClose: () => void; onMade?: (id: string) => void }) {
  const client = useQueryClient();
  const form = useId();
  const [id, setId] = useState("");
  const [name, setName] = useState(tenant?.name ?? "");
  const [status, setStatus] = useState<Tenant["status"]>(tenant?.status ?? "active");
  const [limits, setLimits] = useState(() => draftOf(tenant?.limits));
  const [tried, setTried] = useState(false);
  const set = (field: keyof typeof limits) => (event: { target: { value: string } }) => setLimits((now) => ({ ...now, [field]: event.target.value }));
  const save = useMutation({
    mutationFn: () => {
      const given = name.trim();
      const body = { status, limits: limitsOf(limits), ...(given ? { name: given } : {}) };
      return tenant
        ? data(api.PATCH("/api/v1/tenants/{id}", { params: { path: { id: tenant.id } }, body }))
        : data(api.POST("/api/v1/tenants", { body: { ...body, ...(id.trim() ? { id: id.trim() } : {}) } }));
    },
    onSuccess: async (saved) => {
      client.setQueryData(tenantQuery(saved.id).queryKey, saved);
      toast({ text: tenant ? "The tenant is changed" : `${saved.name} is registered` });
      onClose();
      onMade?.(saved.id);
      await client.invalidateQueries({ queryKey: ["tenants"] });
    },
  });
  const own = faultsOf(limits);
  const shown = tried ? own : {};
  const problem = save.error instanceof Problem ? save.error : undefined;
  /** The relay names a place of a body, with or without what stands around it. */
  const fault = (...paths: string[]) => paths.map((path) => problem?.fault(path)).find(Boolean);
  const known = ["id", "name", "limits.maxSubscriptions", "limits.maxBacklog"];
  const elsewhere = save.isError && !problem?.faults.some((one) => known.includes(one.path) || one.path.includes("ingestRate"));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(own).length === 0 && !save.isPending) save.mutate();
  };
  return (
    <Dialog
      open onClose={onClose} title={tenant ? `Change ${tenant.name}` : "Register a tenant"}
      about={tenant ? <>Its id stays <span className="font-mono text-sm">{tenant.id}</span>.</> : "Events and subscriptions that carry its id are its own, also those that are there already."}
      foot={<><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" form={form} busy={save.isPending}>{tenant ? "Save" : "Register"}</Button></>}
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <div className="grid gap-3 sm:grid-cols-2">
          {!tenant && <Field label="Id" optional hint="As events and subscriptions carry it. One is made where none is given." fault={fault("id")}><Input mono value={id} onChange={(event) => setId(event.target.value)} maxLength={255} autoComplete="off" spellCheck={false} placeholder="acme" /></Field>}
          <Field label="Name" optional={!tenant} fault={fault("name")}><Input value={name} onChange={(event) => setName(event.target.value)} maxLength={255} autoComplete="off" placeholder="Acme Ltd" /></Field>
          {tenant && (
            <Field label="Status" hint={status === "inactive" ? "Every request with its keys is refused." : "Its keys let in."}>
              <Select value={status} onChange={(event) => setStatus(event.target.value as Tenant["status"])} className="w-full"><option value="active">Active</option><option value="inactive">Inactive</option></Select>
            </Field>
          )}
        </div>
        <fieldset className="min-w-0">
          <legend className="label mb-1.5">Limits: none where the field is empty</legend>
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label="Events that its keys may post" hint="All together." fault={shown.rate ?? fault("ingestRate.perMinute", "limits.ingestRate.perMinute", "ingestRate.perSecond", "limits.ingestRate.perSecond", "limits.ingestRate", "ingestRate")}>
              <Input inputMode="numeric" value={limits.rate} onChange={set("rate")} placeholder="no limit" />
            </Field>
            <Field label="In each"><Select value={limits.per} onChange={set("per")} className="w-full"><option value="minute">minute</option><option value="second">second</option></Select></Field>
            <Field label="At once" optional hint="After a quiet time; by default as many as the rate." fault={shown.burst ?? fault("ingestRate.burst", "limits.ingestRate.burst")}><Input inputMode="numeric" value={limits.burst} onChange={set("burst")} /></Field>
            <Field label="Subscriptions" hint="That are not deleted." fault={shown.maxSubscriptions ?? fault("limits.maxSubscriptions", "maxSubscriptions")}><Input inputMode="numeric" value={limits.maxSubscriptions} onChange={set("maxSubscriptions")} placeholder="no limit" /></Field>
            <Field label="Backlog of each subscription" hint="Pending deliveries; one that reaches it is deactivated." fault={shown.maxBacklog ?? fault("limits.maxBacklog", "maxBacklog")}><Input inputMode="numeric" value={limits.maxBacklog} onChange={set("maxBacklog")} placeholder="no limit" /></Field>
          </div>
        </fieldset>
        {elsewhere && <p role="alert" className="text-bad">{adviceFor(save.error).title}</p>}
      </form>
    </Dialog>
  );
}
