import { useMutation, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useBlocker } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, data } from "../../api/client";
import { adviceFor, isNothing, Problem } from "../../api/problem";
import { allows, useBarred, useBarredFromAll, useSession } from "../../api/session";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { ConfirmByName, Dialog } from "../../ui/Dialog";
import { ErrorState, Notice, Skeleton } from "../../ui/Feedback";
import { Field, Input, TextArea } from "../../ui/Field";
import { exact } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { jsonFault, prettyJson } from "../../ui/json";
import { JsonArea } from "../../ui/JsonArea";
import { Menu, MenuItem } from "../../ui/Menu";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { bodyOf, catalogueQuery, eventTypeQuery, faultsOfExample, put, written, type Written } from "./queries";

const route = getRouteApi("/in/event-types/$name");
const making = getRouteApi("/in/new/event-type");
const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

function Back() {
  return <nav aria-label="Where this is" className="mb-1"><Link to="/event-types" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Event types</Link></nav>;
}

function keep(client: QueryClient, saved: Written) {
  client.setQueryData(eventTypeQuery(saved.type.name).queryKey, saved);
  return client.invalidateQueries({ queryKey: ["event-types"] });
}

/** One type: what it is for, what its payload has to be, and how one looks. */
export function EventTypePage() {
  const { name } = route.useParams();
  const query = useQuery(eventTypeQuery(name));
  const catalogue = useQuery(catalogueQuery);
  const session = useSession();
  const count = catalogue.data?.find((type) => type.name === name)?.count;
  const seen = query.data;
  if (isNothing(query)) return <><Back /><PageHead title={<span className="font-mono text-lg">{name}</span>} /><Panel flush><ErrorState what="This type" error={query.error} onRetry={() => void query.refetch()} /></Panel></>;
  return (
    <>
      <Back />
      <PageHead title={<span className="font-mono text-lg">{name}</span>} lead={seen && <State state={seen.type.archived ? "archived" : "active"} />} actions={seen && session.tenant === null && <Actions seen={seen} />} />
      {seen?.type.archived && <div className="mb-3"><Notice tone="quiet" icon="stop">Archived: where unknown types are refused, so is this one. Its schema still holds.</Notice></div>}
      {!seen ? <Panel><Skeleton className="h-96 w-full" /></Panel> : (
        <Editor
          // Saved by somebody else meanwhile, it begins anew with what they wrote.
          key={`${name} ${seen.type.updatedAt}`}
          initial={{ ...seen, name }}
          isNew={false}
          aside={
            <Panel title="About">
              <Facts rows={[
                ["Events", count === undefined ? "–" : count === 0 ? "none that is kept" : <Link key="n" to="/events" search={{ eventType: name }} className="text-accent hover:underline">{exact(count)}</Link>],
                ["Described", <Time key="c" at={seen.type.createdAt} />],
                ["Changed", <Time key="u" at={seen.type.updatedAt} />],
              ]} />
            </Panel>
          }
        />
      )}
    </>
  );
}

export function NewEventTypePage() {
  return (
    <>
      <Back />
      <PageHead title="Describe a type" />
      <Editor isNew initial={{ name: "", description: "", schema: "", example: "" }} />
    </>
  );
}

interface Draft {
  name: string;
  description: string;
  schema: string;
  example: string;
}

const laidOut = (text: string) => prettyJson(text) ?? text;

function Editor({ initial, isNew, aside }: { initial: Draft; isNew: boolean; aside?: React.ReactNode }) {
  const client = useQueryClient();
  const navigate = making.useNavigate();
  const barred = useBarredFromAll();
  const mayTry = useBarred("events:write");
  const session = useSession();
  // Laid out to be read; where nothing is changed, nothing is saved.
  const [first] = useState<Draft>(() => ({ name: initial.name, description: initial.description, schema: laidOut(initial.schema), example: laidOut(initial.example) }));
  const [draft, setDraft] = useState(first);
  const [tried, setTried] = useState(false);
  const set = (field: keyof Draft) => (value: string) => setDraft((now) => ({ ...now, [field]: value }));
  const isChanged = (Object.keys(first) as (keyof Draft)[]).some((field) => first[field] !== draft[field]);
  const check = useMutation({ mutationFn: ({ name, example }: Draft) => faultsOfExample(name, example) });
  const save = useMutation({
    mutationFn: async (draft: Draft) => {
      const asked = { bodySerializer: () => bodyOf(draft), parseAs: "text" } as const;
      const text = isNew
        ? await data(api.POST("/api/v1/event-types", { ...asked, body: { name: draft.name } }))
        : await data(api.PATCH("/api/v1/event-types/{name}", { ...asked, params: { path: { name: draft.name } }, body: {} }));
      return written(text);
    },
    onSuccess: async (saved) => {
      toast({ text: isNew ? `${saved.type.name} is in the catalogue` : "The type is changed" });
      if (isNew) await navigate({ to: "/event-types/$name", params: { name: saved.type.name }, ignoreBlocker: true });
      await keep(client, saved);
    },
  });
  const blocker = useBlocker({ shouldBlockFn: () => isChanged && !save.isSuccess, enableBeforeUnload: () => isChanged && !save.isSuccess, withResolver: true });
  const own = {
    name: draft.name === "" ? "Say what happened, such as job.created" : NAME.test(draft.name) ? undefined : "Segments of letters, digits, _ and -, parted by dots",
    schema: draft.schema.trim() === "" ? undefined : jsonFault(draft.schema),
    example: draft.example.trim() === "" ? undefined : jsonFault(draft.example),
  };
  const problem = save.error instanceof Problem ? save.error : undefined;
  const elsewhere = save.isError && !problem?.faults.some((fault) => ["name", "description", "schema", "example"].includes(fault.path));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!own.name && !own.schema && !own.example && !barred && !save.isPending) save.mutate(draft);
  };
  const canCheck = first.schema === "" ? "There is no schema that is saved" : draft.schema !== first.schema ? "Save the schema first: it is the relay that checks" : draft.example.trim() === "" ? "There is no example" : own.example ? "It is no JSON yet" : mayTry;
  return (
    <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,22rem)]">
      <Panel>
        <form onSubmit={submit} noValidate className="flex flex-col gap-3">
          <div className="grid items-start gap-3 sm:grid-cols-[minmax(0,18rem)_minmax(0,1fr)]">
            {isNew && <Field label="Type" hint="It never changes." fault={(tried ? own.name : undefined) ?? problem?.fault("name") ?? (problem?.code === "conflict" ? problem.message : undefined)}><Input mono value={draft.name} onChange={(event) => set("name")(event.target.value)} maxLength={255} autoComplete="off" spellCheck={false} placeholder="job.created" /></Field>}
            <div className={isNew ? "" : "sm:col-span-2"}><Field label="Description" optional fault={problem?.fault("description")}><TextArea rows={2} maxLength={4_096} value={draft.description} onChange={(event) => set("description")(event.target.value)} readOnly={Boolean(barred)} {...(isNew ? { placeholder: "A job was opened." } : {})} /></Field></div>
          </div>
          <div className="grid items-start gap-3 xl:grid-cols-2">
            <JsonArea
              label="Schema" hint="JSON Schema 2020-12. Payloads of new events have to fit it." value={draft.schema} onChange={set("schema")} fault={problem?.fault("schema")} rows={18} readOnly={Boolean(barred)}
              placeholder={'{\n  "type": "object",\n  "required": ["jobId"],\n  "properties": { "jobId": { "type": "string" } }\n}'}
            />
            <JsonArea
              label="Example" hint="A payload as it may look, for whoever subscribes." value={draft.example} fault={problem?.fault("example")} rows={18} readOnly={Boolean(barred)}
              onChange={(example) => { check.reset(); set("example")(example); }}
              placeholder={'{\n  "jobId": "123"\n}'}
              actions={!isNew && session.tenant === null && <Button kind="quiet" busy={check.isPending} barred={canCheck} onClick={() => check.mutate(draft)}>Check it against the schema</Button>}
            />
          </div>
          <div role="status" className="empty:hidden">
            {check.isSuccess && (check.data.length === 0
              ? <p className="flex items-center gap-1.5 text-good"><Icon name="check" size={14} />The relay would take it.</p>
              : <Notice tone="busy" icon="warning">The relay would refuse the example:<ul className="list-disc pl-5">{check.data.map((fault) => <li key={fault} className="break-words">{fault}</li>)}</ul></Notice>)}
            {check.isError && <p className="text-bad">It could not be checked: {adviceFor(check.error).title}</p>}
          </div>
          {elsewhere && !(isNew && problem?.code === "conflict") && <p role="alert" className="flex gap-1.5 text-bad"><Icon name="warning" size={14} className="mt-0.5" />{adviceFor(save.error).title}</p>}
          {/* A client only reads. */}
          <div className={session.tenant === null ? "flex flex-wrap items-center gap-2" : "hidden"}>
            <Button kind="primary" type="submit" busy={save.isPending} barred={barred || (!isNew && !isChanged && "Nothing is changed")}>{isNew ? "Add to the catalogue" : "Save"}</Button>
            {isChanged && !isNew && <Button onClick={() => { save.reset(); check.reset(); setDraft(first); }}>Discard</Button>}
          </div>
        </form>
      </Panel>
      <div className="flex min-w-0 flex-col gap-3">
        {aside}
        {allows(session, "events:write") && (
          <Panel title="An event of it by the API">
            <Curl method="POST" path="/api/v1/events" raw={`{"eventType":${JSON.stringify(draft.name || "job.created")},"payload":${draft.example.trim() && !own.example ? draft.example.trim() : "{}"}}`} />
          </Panel>
        )}
      </div>
      <Dialog
        open={blocker.status === "blocked"} onClose={() => blocker.reset?.()} title="Leave without saving?" about="What you changed here is lost."
        foot={<><Button onClick={() => blocker.reset?.()}>Stay</Button><Button kind="danger" onClick={() => blocker.proceed?.()}>Leave</Button></>}
      />
    </div>
  );
}

function Actions({ seen }: { seen: Written }) {
  const { name, archived } = seen.type;
  const client = useQueryClient();
  const navigate = route.useNavigate();
  const barred = useBarredFromAll();
  const [deleting, setDeleting] = useState(false);
  const archive = useMutation({
    mutationFn: async (next: boolean) => written(await data(api.PATCH("/api/v1/event-types/{name}", { params: { path: { name } }, body: { archived: next }, parseAs: "text" } as const))),
    onSuccess: async (saved) => {
      toast({ text: saved.type.archived ? `${name} is archived` : `${name} is in use again`, undo: () => archive.mutate(!saved.type.archived) });
      await keep(client, saved);
    },
    onError: (error) => toast({ tone: "bad", text: "It was not changed", detail: adviceFor(error).title }),
  });
  const restore = useMutation({
    mutationFn: () => put({ ...seen, name, archived }),
    onSuccess: async (saved) => {
      toast({ text: `${name} is back` });
      await keep(client, saved);
    },
    onError: (error) => toast({ tone: "bad", text: `${name} is not back`, detail: adviceFor(error).title }),
  });
  const remove = useMutation({
    mutationFn: () => data(api.DELETE("/api/v1/event-types/{name}", { params: { path: { name } } })),
    onSuccess: async () => {
      toast({ text: `${name} is deleted`, undo: () => restore.mutate() });
      await navigate({ to: "/event-types" });
      client.removeQueries({ queryKey: ["event-type", name] });
      await client.invalidateQueries({ queryKey: ["event-types"] });
    },
    onError: (error) => toast({ tone: "bad", text: "It was not deleted", detail: adviceFor(error).title }),
  });
  return (
    <>
      <Button icon={archived ? "play" : "stop"} barred={barred} busy={archive.isPending} onClick={() => archive.mutate(!archived)}>{archived ? "Use again" : "Archive"}</Button>
      <Menu trigger={<Button icon="dots" bare>More</Button>}>
        <MenuItem icon="trash" danger barred={barred} onSelect={() => setDeleting(true)}>Delete…</MenuItem>
      </Menu>
      <ConfirmByName
        open={deleting} onClose={() => setDeleting(false)} onConfirm={() => remove.mutate()} busy={remove.isPending} title="Delete the type" name={name} verb="Delete"
        about="It leaves the catalogue, and its schema holds no event any more. Events of it that were accepted stay."
      />
    </>
  );
}
