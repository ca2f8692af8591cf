import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { Subscription } from "../../api/types";
import { Button } from "../../ui/Button";
import { CodeBlock } from "../../ui/Code";
import { Dialog } from "../../ui/Dialog";
import { Field, Input, Select } from "../../ui/Field";
import { Facts, Panel } from "../../ui/Panel";
import { Badge } from "../../ui/State";
import { Choice } from "../../ui/Tabs";
import { Countdown } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { secretFault } from "./draft";
import { verification, type Language } from "./verification";

/** A secret as it has to be kept: to be copied, and how a receiver uses it. */
export function SecretAndSnippet({ secret, publicKey }: { secret: string | null | undefined; publicKey: string | null | undefined }) {
  const [language, setLanguage] = useState<Language>("node");
  const key = secret ?? publicKey ?? "";
  const kind = secret ? "secret" : "public key";
  return (
    <div className="flex min-w-0 flex-col gap-3">
      <div>
        <h3 className="label mb-1 first-letter:uppercase">{kind}</h3>
        <CodeBlock text={key} label={kind} className="[&_pre]:whitespace-pre-wrap [&_pre]:break-all" />
      </div>
      <div>
        <div className="mb-1 flex flex-wrap items-center justify-between gap-2">
          <h3 className="label">How the receiver verifies</h3>
          <Choice label="Language" value={language} onChange={setLanguage} options={[{ value: "node", label: "Node" }, { value: "python", label: "Python" }, { value: "shell", label: "Shell" }]} />
        </div>
        <CodeBlock text={verification(language, Boolean(secret))} label="verification" />
        <p className="mt-1 text-sm text-muted">The header <span className="font-mono">webhook-signature</span> may carry several signatures, parted by spaces, while secrets overlap: one that fits suffices.</p>
      </div>
    </div>
  );
}

/** How its deliveries are signed; the secrets themselves only when they are asked for. */
export function SigningPanel({ subscription, onRotate }: { subscription: Subscription; onRotate: () => void }) {
  const { id } = subscription;
  const barred = useBarred("subscriptions:write");
  // Not a query: what is shown once is not kept, and that it was shown stands in the audit log.
  const reveal = useMutation({
    gcTime: 0,
    mutationFn: () => data(api.GET("/api/v1/subscriptions/{id}/secret", { params: { path: { id } } })),
    onError: (error) => toast({ tone: "bad", text: "The secret cannot be shown", detail: adviceFor(error).title }),
  });
  const shown = reveal.data;
  const own = subscription.signature?.headers ?? [];
  return (
    <Panel
      title="Signing"
      aside={<span className="flex gap-2">
        {shown ? <Button kind="quiet" onClick={() => reveal.reset()}>Hide</Button> : <Button kind="quiet" icon="key" busy={reveal.isPending} barred={barred} onClick={() => reveal.mutate()}>Show secret</Button>}
        <Button kind="quiet" icon="retry" barred={barred || (subscription.secretFrom === "tenant" && "It signs with its tenant's secret: replace that one")} onClick={onRotate}>Rotate</Button>
      </span>}
    >
      <Facts rows={[
        ["Scheme", subscription.signing === "ed25519" ? "Ed25519, a key pair" : "HMAC-SHA256, a shared secret"],
        ["Whose", subscription.secretFrom === "tenant" ? "its tenant's" : "its own"],
        subscription.publicKey ? ["Public key", <span key="p" className="break-all font-mono text-sm">{subscription.publicKey}</span>] : null,
        own.length > 0 ? ["Own headers", <span key="o" className="font-mono text-sm">{own.map((one) => one.header).join(", ")}{subscription.signature?.mode === "instead" && <span className="font-sans text-muted">, instead of the standard ones</span>}</span>] : null,
        ["Body", FORMATS[subscription.payloadFormat] ?? subscription.payloadFormat],
      ]} />
      {shown && (
        <div className="mt-3 flex flex-col gap-3 border-t pt-3">
          {shown.secrets.length > 1 && (
            <ul className="flex flex-col gap-1">
              {shown.secrets.map((one, index) => (
                <li key={index} className="flex flex-wrap items-center gap-2">
                  <Badge tone={index === 0 ? "good" : "busy"}>{index === 0 ? "newest" : "old"}</Badge>
                  <span className="text-sm text-muted">{one.until ? <>signs for another <Countdown until={one.until} past="moment" /></> : "signs until it is replaced"}</span>
                  {index > 0 && <span className="min-w-0 break-all font-mono text-sm">{one.secret ?? one.publicKey}</span>}
                </li>
              ))}
            </ul>
          )}
          <SecretAndSnippet secret={shown.secret} publicKey={shown.publicKey} />
        </div>
      )}
    </Panel>
  );
}

export const FORMATS: Record<string, string> = {
  relay: "Posthaste's own", standard: "Standard Webhooks", raw: "the payload alone", cloudevents: "CloudEvents 1.0",
};

const OVERLAPS = [["", "As the relay has it"], ["0", "None: the old one ends at once"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"]] as const;

/** Replaces the secret; the old one signs on for a while, so that the receiver can follow. */
export function RotateDialog({ subscription, open, onClose }: { subscription: Subscription; open: boolean; onClose: () => void }) {
  return open ? <Rotation subscription={subscription} onClose={onClose} /> : null;
}

function Rotation({ subscription, onClose }: { subscription: Subscription; onClose: () => void }) {
  const { id } = subscription;
  const form = useId();
  const client = useQueryClient();
  const [overlap, setOverlap] = useState("");
  const [kind, setKind] = useState<"made" | "brought" | "pair">("made");
  const [secret, setSecret] = useState("");
  const [tried, setTried] = useState(false);
  const rotate = useMutation({
    gcTime: 0,
    mutationFn: () => data(api.POST("/api/v1/subscriptions/{id}/rotate-secret", {
      params: { path: { id } },
      body: { ...(overlap === "" ? {} : { overlapSeconds: Number(overlap) }), ...(kind === "brought" ? { secret } : { signing: kind === "pair" ? "ed25519" as const : "hmac-sha256" as const }) },
    })),
    onSettled: () => client.invalidateQueries({ queryKey: ["subscription", id] }),
  });
  const problem = rotate.error instanceof Problem ? rotate.error : undefined;
  const fault = kind === "brought" ? secretFault(secret) : undefined;
  const done = rotate.data;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!fault) rotate.mutate();
  };
  const old = done?.secrets[1]?.until;
  return (
    <Dialog
      open onClose={onClose} wide={Boolean(done)} title={done ? "The secret is replaced" : "Replace the secret"}
      about={done ? (old ? <>The old one signs too for another <Countdown until={old} />. Give the receiver the new one until then.</> : "The old one signs no more.") : "The old one signs on beside it for a while, so that the receiver can take the new one first."}
      foot={done ? <Button kind="primary" onClick={onClose}>I have kept it</Button> : <><Button onClick={onClose}>Leave it</Button><Button kind="primary" type="submit" form={form} busy={rotate.isPending}>Replace it</Button></>}
    >
      {done ? <SecretAndSnippet secret={done.secret} publicKey={done.publicKey} /> : (
        <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
          <Field label="The old one signs on for" fault={problem?.fault("overlapSeconds")}>
            <OverlapSelect value={overlap} onChange={setOverlap} />
          </Field>
          <Field label="The new one" fault={problem?.fault("signing")}>
            <KindSelect value={kind} onChange={setKind} withPair={!subscription.signature?.headers.length} />
          </Field>
          {kind === "brought" && <Field label="Secret" hint="whsec_ and base64 of 24 to 64 bytes, or any text of 8 to 512 bytes." fault={(tried && fault ? `Secret ${fault}` : undefined) ?? problem?.fault("secret")}><Input mono autoComplete="off" spellCheck={false} value={secret} onChange={(event) => setSecret(event.target.value)} /></Field>}
          {rotate.isError && !problem?.faults.length && <p role="alert" className="text-bad">{adviceFor(rotate.error).title}</p>}
        </form>
      )}
    </Dialog>
  );
}

type Described = { id?: string; "aria-describedby"?: string | undefined; "aria-invalid"?: boolean | undefined };

function OverlapSelect({ value, onChange, ...described }: { value: string; onChange: (value: string) => void } & Described) {
  return <Select {...described} className="w-full" value={value} onChange={(event) => onChange(event.target.value)}>{OVERLAPS.map(([seconds, name]) => <option key={seconds} value={seconds}>{name}</option>)}</Select>;
}

function KindSelect({ value, onChange, withPair, ...described }: { value: "made" | "brought" | "pair"; onChange: (value: "made" | "brought" | "pair") => void; withPair: boolean } & Described) {
  return (
    <Select {...described} className="w-full" value={value} onChange={(event) => onChange(event.target.value as "made" | "brought" | "pair")}>
      <option value="made">A shared secret, made here</option>
      <option value="brought">A shared secret, made elsewhere</option>
      {withPair && <option value="pair">A key pair (Ed25519), made here</option>}
    </Select>
  );
}
