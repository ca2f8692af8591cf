import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import { useSession, type Scope } from "../../api/session";
import { Button } from "../../ui/Button";
import { CheckField } from "../../ui/CheckField";
import { serverNow } from "../../ui/clock";
import { Curl } from "../../ui/Code";
import { Combobox } from "../../ui/Combobox";
import { Dialog } from "../../ui/Dialog";
import { Notice } from "../../ui/Feedback";
import { Field, Input, Select } from "../../ui/Field";
import { ShownOnce } from "../../ui/ShownOnce";
import { Choice } from "../../ui/Tabs";
import { tenantsQuery } from "../tenants/queries";
import { expiry, LIFETIMES, PRESETS, SCOPES, type Preset } from "./scopes";

/** A form, and then the key, once. */
export function MakeKey({ tenant, onClose }: { tenant?: string | undefined; onClose: () => void }) {
  const session = useSession();
  const client = useQueryClient();
  const form = useId();
  const [name, setName] = useState("");
  const [preset, setPreset] = useState<Preset | "own">(tenant || session.tenant ? "client" : "service");
  const [scopes, setScopes] = useState<readonly Scope[]>([]);
  const [of, setOf] = useState(tenant ?? "");
  const [lifetime, setLifetime] = useState<string>("");
  const [on, setOn] = useState("");
  const [tried, setTried] = useState(false);
  const tenants = useInfiniteQuery({ ...tenantsQuery, enabled: session.tenant === null });
  const make = useMutation({
    mutationFn: () => {
      const expiresAt = expiry(lifetime, on, serverNow());
      return data(api.POST("/api/v1/keys", {
        body: { name: name.trim(), ...(preset === "own" ? { scopes: [...scopes] } : { preset }), ...(of.trim() ? { tenant: of.trim() } : {}), ...(expiresAt ? { expiresAt } : {}) },
      }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ["keys"] }),
  });
  if (make.data) {
    const key = make.data;
    return (
      <ShownOnce title={`The key “${key.name}”`} about="It is shown this once: what the relay keeps of it is a hash. Copy it to where it is used." label="Key" text={key.key} onClose={onClose}>
        <Curl note="With the key in POSTHASTE_KEY:" {...(key.scopes.includes("events:write") || key.scopes.includes("admin") ? { method: "POST", path: "/api/v1/events", body: { eventType: "job.created", payload: { jobId: "123" } } } : { path: key.scopes.includes("subscriptions:read") ? "/api/v1/subscriptions" : key.scopes.includes("deliveries:read") ? "/api/v1/deliveries" : "/api/v1/events" })} />
      </ShownOnce>
    );
  }
  const faults = {
    name: name.trim() === "" ? "Say what it is for, such as orders-service" : undefined,
    scopes: preset === "own" && scopes.length === 0 ? "Choose at least one" : undefined,
    on: lifetime === "on" && expiry("on", on, 0) === null ? "Say when" : undefined,
  };
  const problem = make.error instanceof Problem ? make.error : undefined;
  const elsewhere = make.isError && !problem?.faults.some((fault) => ["name", "tenant", "expiresAt", "scopes"].includes(fault.path));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!faults.name && !faults.scopes && !faults.on && !make.isPending) make.mutate();
  };
  const isAdmin = preset === "admin" || (preset === "own" && scopes.includes("admin"));
  return (
    <Dialog
      open onClose={onClose} title="Make a key" about="For one service, or one customer: so that each can be taken back alone."
      foot={<><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" form={form} busy={make.isPending}>Make the key</Button></>}
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <Field label="Name" fault={(tried ? faults.name : undefined) ?? problem?.fault("name")}><Input value={name} onChange={(event) => setName(event.target.value)} maxLength={255} autoComplete="off" placeholder="orders-service" /></Field>
        <fieldset className="min-w-0">
          <legend className="mb-1 text-sm font-medium">What its holder may do</legend>
          <Choice label="What its holder may do" value={preset} onChange={setPreset} options={[...(Object.keys(PRESETS) as Preset[]).map((value) => ({ value, label: PRESETS[value].name })), { value: "own" as const, label: "Choose" }]} />
          {preset === "own" ? (
            <div className="mt-1.5 grid gap-x-4">
              {SCOPES.map(({ scope, about }) => (
                <CheckField key={scope} on={scopes.includes(scope)} label={<span className="font-mono text-sm">{scope}</span>} note={about} onChange={(is) => setScopes((now) => (is ? [...now, scope] : now.filter((one) => one !== scope)))} />
              ))}
            </div>
          ) : (
            <p className="mt-1.5 text-sm text-muted">{PRESETS[preset].about} <span className="font-mono">{PRESETS[preset].scopes.join(" ")}</span></p>
          )}
          {((tried && faults.scopes) || problem?.fault("scopes")) && <p role="alert" className="mt-1 text-sm text-bad">{faults.scopes ?? problem?.fault("scopes")}</p>}
        </fieldset>
        {session.tenant === null
          ? (
            <Field label="Tenant" optional hint="Whose things its holder sees; all where none is given." fault={problem?.fault("tenant")}>
              <Combobox value={of} onChange={setOf} placeholder="all" options={(tenants.data?.pages ?? []).flatMap((page) => page.rows.map((one) => ({ value: one.id, note: one.name === one.id ? "" : one.name })))} />
            </Field>
          ) : <p className="text-sm text-muted">It is a key of {session.tenant}, as yours is.</p>}
        {isAdmin && of.trim() === "" && session.tenant === null && <Notice tone="busy" icon="warning">Its holder may do everything here, and make further keys.</Notice>}
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Ends" fault={problem?.fault("expiresAt")}>
            <Select value={lifetime} onChange={(event) => setLifetime(event.target.value)} className="w-full">
              {Object.entries(LIFETIMES).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
            </Select>
          </Field>
          {lifetime === "on" && <Field label="When" hint="In your zone." fault={tried ? faults.on : undefined}><Input type="datetime-local" value={on} onChange={(event) => setOn(event.target.value)} /></Field>}
        </div>
        {elsewhere && <p role="alert" className="text-bad">{adviceFor(make.error).title}</p>}
      </form>
    </Dialog>
  );
}
