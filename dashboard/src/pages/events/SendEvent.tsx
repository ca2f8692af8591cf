import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import { useBarred, useSession } from "../../api/session";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { Combobox } from "../../ui/Combobox";
import { Field, Input, TextArea } from "../../ui/Field";
import { Icon } from "../../ui/Icon";
import { jsonFault, prettyJson } from "../../ui/json";
import { PageHead, Panel } from "../../ui/Panel";
import { toast } from "../../ui/toasts";
import { eventTypeQuery } from "../event-types/queries";
import { oneKeyForEach } from "./idempotency";
import { eventTypesQuery } from "./queries";

const FIRST = '{\n  "jobId": "123",\n  "title": "Engineer"\n}';
const TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

interface Draft {
  eventType: string;
  eventName: string;
  source: string;
  tenant: string;
  idempotencyKey: string;
  orderingKey: string;
}

/** A form that sends one event, as any sender would. */
export function SendEventPage() {
  const navigate = useNavigate();
  const session = useSession();
  const barred = useBarred("events:write");
  const types = useQuery(eventTypesQuery);
  const [draft, setDraft] = useState<Draft>({ eventType: "", eventName: "", source: "dashboard", tenant: session.tenant ?? "", idempotencyKey: "", orderingKey: "" });
  const [payload, setPayload] = useState(FIRST);
  const [tried, setTried] = useState(false);
  const [keyOf] = useState(oneKeyForEach);
  const client = useQueryClient();
  const set = (name: keyof Draft) => (value: string) => setDraft((now) => ({ ...now, [name]: value }));
  const typeFault = draft.eventType === "" ? "Say what happened, such as job.created" : !TYPE.test(draft.eventType) ? "Segments of letters, digits, _ and -, parted by dots" : undefined;
  const payloadFault = jsonFault(payload);
  const send = useMutation({
    mutationFn: async () => {
      const { eventType, ...rest } = draft;
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value.trim() !== ""));
      // Where no answer came, the same is sent again under the same key, and accepted once.
      const once = keyOf(JSON.stringify([draft, payload]));
      // The payload goes as it was typed: numbers that JavaScript cannot hold included.
      const body = `${JSON.stringify({ eventType, idempotencyKey: once, ...given }).slice(0, -1)},"payload":${payload}}`;
      return data(api.POST("/api/v1/events", { body: { eventType }, bodySerializer: () => body }));
    },
    onSuccess: async (answer) => {
      if (!("eventId" in answer)) return;
      toast({ text: "It is stored, and on its way" });
      await navigate({ to: "/events/$id", params: { id: answer.eventId } });
    },
  });
  const example = useMutation({
    mutationFn: (name: string) => client.fetchQuery(eventTypeQuery(name)),
    onSuccess: (found) => setPayload(prettyJson(found.example) ?? found.example),
    onError: (error) => toast({ tone: "bad", text: "The example cannot be read", detail: adviceFor(error).title }),
  });
  const problem = send.error instanceof Problem ? send.error : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!typeFault && !payloadFault && !barred) send.mutate();
  };
  const chosen = types.data?.find((type) => type.name === draft.eventType);
  const named = ["eventType", "payload", "eventName", "source", "tenant", "idempotencyKey", "orderingKey"];
  const elsewhere = problem && !problem.faults.some((fault) => named.includes(fault.path));
  return (
    <>
      <nav aria-label="Where this is" className="mb-1"><Link to="/events" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Events</Link></nav>
      <PageHead title="Send an event" />
      <div className="grid max-w-5xl gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,22rem)]">
        <Panel>
          <form onSubmit={submit} noValidate className="flex flex-col gap-3">
            <div className="grid gap-3 sm:grid-cols-2">
              <Field label="Type" fault={(tried ? typeFault : undefined) ?? problem?.fault("eventType")}>
                <Combobox mono placeholder="job.created" value={draft.eventType} onChange={set("eventType")} options={(types.data ?? []).map((type) => ({ value: type.name }))} />
              </Field>
              <Field label="Name" optional hint="For people." fault={problem?.fault("eventName")}><Input value={draft.eventName} onChange={(event) => set("eventName")(event.target.value)} maxLength={255} /></Field>
            </div>
            <Field label="Payload" hint="Any JSON. Receivers get these bytes." fault={(tried ? payloadFault : undefined) ?? problem?.fault("payload")}>
              <TextArea mono rows={12} spellCheck={false} value={payload} onChange={(event) => setPayload(event.target.value)} />
            </Field>
            <div className="-mt-1 flex flex-wrap gap-2">
              <Button kind="quiet" barred={payloadFault && "It is no JSON yet"} onClick={() => setPayload(prettyJson(payload) ?? payload)}>Lay it out</Button>
              {chosen?.hasExample && <Button kind="quiet" busy={example.isPending} onClick={() => example.mutate(chosen.name)}>Use the catalogue's example</Button>}
            </div>
            <div className="grid gap-3 sm:grid-cols-2">
              <Field label="Source" optional fault={problem?.fault("source")}><Input value={draft.source} onChange={(event) => set("source")(event.target.value)} maxLength={255} /></Field>
              {session.tenant === null && <Field label="Tenant" optional hint="Whose event it is." fault={problem?.fault("tenant")}><Input value={draft.tenant} onChange={(event) => set("tenant")(event.target.value)} maxLength={255} /></Field>}
              <Field label="Idempotency key" optional hint="The same again is accepted once." fault={problem?.fault("idempotencyKey")}><Input mono value={draft.idempotencyKey} onChange={(event) => set("idempotencyKey")(event.target.value)} maxLength={255} /></Field>
              <Field label="Ordering key" optional hint="What is delivered in order." fault={problem?.fault("orderingKey")}><Input mono value={draft.orderingKey} onChange={(event) => set("orderingKey")(event.target.value)} maxLength={255} /></Field>
            </div>
            {send.isError && (elsewhere ?? !problem) && <p role="alert" className="flex gap-1.5 text-bad"><Icon name="warning" size={14} className="mt-0.5" />{adviceFor(send.error).title}</p>}
            <div><Button kind="primary" icon="send" type="submit" busy={send.isPending} barred={barred}>Send</Button></div>
          </form>
        </Panel>
        <Panel title="The same by the API">
          <Curl method="POST" path="/api/v1/events" raw={`{"eventType":${JSON.stringify(draft.eventType || "job.created")},"payload":${payloadFault ? "{}" : payload.trim()}}`} />
          <p className="mt-2 text-muted">202 means durable: the event and all its deliveries are committed before the answer.</p>
        </Panel>
      </div>
    </>
  );
}
