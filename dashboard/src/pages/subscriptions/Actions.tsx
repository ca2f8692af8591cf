/** What can be done with a subscription. At once where the result is certain, with a way back where there is one. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useId, useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { Subscription } from "../../api/types";
import { deleting } from "../../live/refresh";
import { Button } from "../../ui/Button";
import { serverNow } from "../../ui/clock";
import { Combobox } from "../../ui/Combobox";
import { ConfirmByName, Dialog } from "../../ui/Dialog";
import { Field, TextArea } from "../../ui/Field";
import { count } from "../../ui/format";
import { jsonFault } from "../../ui/json";
import { Menu, MenuItem, MenuLine } from "../../ui/Menu";
import { Choice } from "../../ui/Tabs";
import { toast } from "../../ui/toasts";
import { BulkDialog, type BulkKind } from "./Bulk";
import { runtimeQuery, subscriptionQuery } from "./queries";
import { RotateDialog } from "./Secrets";
import { TestOutcome } from "./TestOutcome";

type Open = "test" | "reactivate" | "rotate" | "cancel" | "delete" | BulkKind;

/** Pauses and resumes: shown before it is answered, taken back where it is refused. */
export function useFlow(subscription: Subscription) {
  const { id, name } = subscription;
  const client = useQueryClient();
  const key = subscriptionQuery(id).queryKey;
  const runtime = runtimeQuery(id).queryKey;
  const move = useMutation({
    mutationFn: (how: "pause" | "resume") => data(how === "pause"
      ? api.POST("/api/v1/subscriptions/{id}/pause", { params: { path: { id } } })
      : api.POST("/api/v1/subscriptions/{id}/resume", { params: { path: { id } } })),
    onMutate: async (how) => {
      await client.cancelQueries({ queryKey: ["subscription", id] });
      const before = { one: client.getQueryData(key), runtime: client.getQueryData(runtime) };
      const state = how === "pause" ? "paused" as const : "active" as const;
      client.setQueryData(key, (now) => now && { ...now, state, isActive: how === "resume", stateReason: null, stateChangedAt: new Date(serverNow()).toISOString() });
      client.setQueryData(runtime, (now) => now && { ...now, state, stateReason: null });
      return before;
    },
    onSuccess: (now, how) => {
      client.setQueryData(key, (before) => ({ ...before, ...now }));
      toast(how === "pause"
        ? { tone: "held", text: `${name} is paused`, detail: "What comes for it is held; none is lost.", undo: () => move.mutate("resume") }
        : { text: `${name} is active`, undo: () => move.mutate("pause") });
    },
    onError: (error, how, before) => {
      client.setQueryData(key, before?.one);
      client.setQueryData(runtime, before?.runtime);
      toast({ tone: "bad", text: how === "pause" ? "It was not paused" : "It was not resumed", detail: adviceFor(error).title });
    },
    onSettled: () => Promise.all([client.invalidateQueries({ queryKey: ["subscription", id] }), client.invalidateQueries({ queryKey: ["subscriptions"] })]),
  });
  return move;
}

export function Actions({ subscription }: { subscription: Subscription }) {
  const { id, state } = subscription;
  const navigate = useNavigate();
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const mayChange = useBarred("subscriptions:write");
  const mayMove = useBarred("deliveries:write");
  const flow = useFlow(subscription);
  const isHeldByRule = state === "deactivated" || state === "suspended";
  return (
    <>
      <Button icon="send" barred={mayChange} onClick={() => setOpen("test")}>Test</Button>
      {isHeldByRule
        ? <Button kind="primary" icon="play" barred={mayChange || (subscription.hold?.skipping && "What was held is being skipped; it becomes active then")} onClick={() => setOpen("reactivate")}>Reactivate…</Button>
        : state === "paused"
          ? <Button kind="primary" icon="play" barred={mayChange} busy={flow.isPending} onClick={() => flow.mutate("resume")}>Resume</Button>
          : <Button icon="pause" barred={mayChange} busy={flow.isPending} onClick={() => flow.mutate("pause")}>Pause</Button>}
      <Menu trigger={<Button icon="dots" bare>More</Button>}>
        <MenuItem icon="filter" barred={mayChange} onSelect={() => void navigate({ to: "/subscriptions/$id/edit", params: { id } })}>Edit</MenuItem>
        <MenuItem icon="key" barred={mayChange || (subscription.secretFrom === "tenant" && "It signs with its tenant's secret")} onSelect={() => setOpen("rotate")}>Replace the secret…</MenuItem>
        <MenuLine />
        <MenuItem icon="retry" barred={mayMove} onSelect={() => setOpen("retry_failed")}>Send failed ones again…</MenuItem>
        <MenuItem icon="events" barred={mayMove} onSelect={() => setOpen("replay")}>Replay events…</MenuItem>
        <MenuLine />
        <MenuItem icon="stop" danger barred={mayMove} onSelect={() => setOpen("cancel")}>Cancel all that waits…</MenuItem>
        <MenuItem icon="trash" danger barred={mayChange} onSelect={() => setOpen("delete")}>Delete…</MenuItem>
      </Menu>
      {open === "test" && <TestDialog subscription={subscription} onClose={close} />}
      {open === "reactivate" && <ReactivateDialog subscription={subscription} onClose={close} />}
      <RotateDialog subscription={subscription} open={open === "rotate"} onClose={close} />
      <BulkDialog subscription={subscription} kind={open === "replay" || open === "retry_failed" ? open : undefined} onClose={close} />
      <CancelPending subscription={subscription} open={open === "cancel"} onClose={close} />
      <Delete subscription={subscription} open={open === "delete"} onClose={close} />
    </>
  );
}

function ReactivateDialog({ subscription, onClose }: { subscription: Subscription; onClose: () => void }) {
  const { id, name } = subscription;
  const client = useQueryClient();
  const runtime = client.getQueryData(runtimeQuery(id).queryKey);
  const [held, setHeld] = useState<"send" | "skip">("send");
  const go = useMutation({
    mutationFn: () => data(api.POST("/api/v1/subscriptions/{id}/reactivate", { params: { path: { id } }, body: { held } })),
    onSuccess: (done) => {
      const skipped = "held" in done ? done.held : undefined;
      toast(skipped && !skipped.complete
        ? { tone: "busy", text: `${name} becomes active in a moment`, detail: `${count(skipped.skipped)} are skipped so far` }
        : { text: `${name} is active`, detail: skipped ? `${count(skipped.skipped)} were skipped; they can be replayed` : "What was held is sent" });
      onClose();
    },
    onError: (error) => toast({ tone: "bad", text: "It was not reactivated", detail: adviceFor(error).title }),
    onSettled: () => Promise.all([client.invalidateQueries({ queryKey: ["subscription", id] }), client.invalidateQueries({ queryKey: ["subscriptions"] })]),
  });
  const waits = runtime ? `${runtime.backlog.atLeast ? "More than " : ""}${count(runtime.backlog.count)} ${runtime.backlog.count === 1 ? "is" : "are"} held.` : "";
  return (
    <Dialog
      open onClose={onClose} title={`Reactivate ${name}`} about={<>Failures count anew, and an open breaker probes at once. {waits}</>}
      foot={<><Button onClick={onClose}>Leave it</Button><Button kind="primary" icon="play" busy={go.isPending} onClick={() => go.mutate()}>Reactivate</Button></>}
    >
      <p className="mb-1 text-sm font-medium">What was held</p>
      <Choice label="What was held" value={held} onChange={setHeld} options={[{ value: "send", label: "Send it" }, { value: "skip", label: "Skip it" }]} />
      <p className="mt-2 text-muted">{held === "send" ? "It goes out in its order, at the pace that the receiver can take." : "It is not sent, counted as skipped, and can be replayed. What comes from now on is sent."}</p>
    </Dialog>
  );
}

function CancelPending({ subscription, open, onClose }: { subscription: Subscription; open: boolean; onClose: () => void }) {
  const { id, name } = subscription;
  const client = useQueryClient();
  const runtime = client.getQueryData(runtimeQuery(id).queryKey);
  const cancel = useMutation({
    mutationFn: () => data(api.POST("/api/v1/subscriptions/{id}/cancel-pending", { params: { path: { id } } })),
    onSuccess: (done) => {
      toast({ text: `${count(done.cancelled)} ${done.cancelled === 1 ? "is" : "are"} cancelled${done.complete ? "" : " so far"}`, detail: done.inFlight ? `${count(done.inFlight)} in flight were left alone` : done.complete ? undefined : "The rest goes on being cancelled" });
      onClose();
    },
    onError: (error) => toast({ tone: "bad", text: "Nothing was cancelled", detail: adviceFor(error).title }),
    onSettled: () => Promise.all([client.invalidateQueries({ queryKey: ["subscription", id] }), client.invalidateQueries({ queryKey: ["deliveries"] })]),
  });
  return (
    <ConfirmByName
      open={open} onClose={onClose} onConfirm={() => cancel.mutate()} busy={cancel.isPending} title="Cancel all that waits" name={name} verb="Cancel them"
      about={<>{runtime && runtime.backlog.count > 0 ? `${runtime.backlog.atLeast ? "More than " : ""}${count(runtime.backlog.count)} pending ${runtime.backlog.count === 1 ? "delivery ends" : "deliveries end"}` : "All pending deliveries end"} without being sent. They can be sent again one by one, or by “Send failed ones again”. What is in flight is left alone.</>}
    />
  );
}

function Delete({ subscription, open, onClose }: { subscription: Subscription; open: boolean; onClose: () => void }) {
  const { id, name } = subscription;
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationKey: deleting("subscription", id),
    mutationFn: () => data(api.DELETE("/api/v1/subscriptions/{id}", { params: { path: { id } } })),
    onSuccess: async () => {
      toast({ text: `${name} is deleted` });
      await navigate({ to: "/subscriptions" });
      client.removeQueries({ queryKey: ["subscription", id] });
      await client.invalidateQueries({ queryKey: ["subscriptions"] });
    },
    onError: (error) => {
      toast({ tone: "bad", text: "It was not deleted", detail: adviceFor(error).title });
      return client.invalidateQueries({ queryKey: ["subscription", id] });
    },
  });
  return (
    <ConfirmByName
      open={open} onClose={onClose} onConfirm={() => remove.mutate()} busy={remove.isPending} title="Delete the subscription" name={name} verb="Delete for good"
      about="It gets no further event, what waits for it is cancelled, and its secret is gone. What was delivered stays on record. Pausing it keeps everything."
    />
  );
}

const SAMPLE = '{\n  "test": true\n}';

/** One signed call now, whatever holds deliveries back. */
function TestDialog({ subscription, onClose }: { subscription: Subscription; onClose: () => void }) {
  const { id } = subscription;
  const form = useId();
  const [type, setType] = useState("");
  const [payload, setPayload] = useState("");
  const send = useMutation({
    mutationFn: () => {
      const eventType = type.trim() === "" ? "" : `"eventType":${JSON.stringify(type.trim())}`;
      // As it was typed: numbers that JavaScript cannot hold included.
      const body = payload.trim() === "" ? "" : `"payload":${payload}`;
      return data(api.POST("/api/v1/subscriptions/{id}/test", { params: { path: { id } }, body: {}, bodySerializer: () => `{${[eventType, body].filter(Boolean).join(",")}}` }));
    },
  });
  const problem = send.error instanceof Problem ? send.error : undefined;
  const wrong = payload.trim() === "" ? undefined : jsonFault(payload);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!wrong) send.mutate();
  };
  return (
    <Dialog
      open onClose={onClose} wide title="Test send" about="One signed call with the header webhook-test: true, now, whatever holds deliveries back. Nothing is stored or counted."
      foot={<><Button onClick={onClose}>Close</Button><Button kind="primary" icon="send" type="submit" form={form} busy={send.isPending} barred={wrong && "The payload is no JSON yet"}>Send it</Button></>}
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <Field label="Event type" optional hint="Without one: made of its first pattern." fault={problem?.fault("eventType")}>
          <Combobox mono placeholder={subscription.eventTypes[0]?.replace("*", "test") ?? ""} value={type} onChange={setType} options={subscription.eventTypes.filter((one) => !one.includes("*")).map((value) => ({ value }))} />
        </Field>
        <Field label="Payload" optional hint="Any JSON. Without one: a small sample." fault={wrong ?? problem?.fault("payload")}>
          <TextArea mono rows={4} spellCheck={false} placeholder={SAMPLE} value={payload} onChange={(event) => setPayload(event.target.value)} />
        </Field>
        {send.isError && !problem?.faults.length && <p role="alert" className="text-bad">{adviceFor(send.error).title}</p>}
      </form>
      {send.data && <div className="mt-3 border-t pt-3"><TestOutcome outcome={send.data} /></div>}
    </Dialog>
  );
}
