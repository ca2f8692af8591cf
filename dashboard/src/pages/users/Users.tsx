import { useInfiniteQuery, useMutation, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useId, useState, type FormEvent } from "react";
import { endless, usePageInterval, type Page } from "../../api/pages";
import { adviceFor, Problem } from "../../api/problem";
import { useBarred, useSession, type Role } from "../../api/session";
import { changeUser, deleteUser, inviteUser, listUsers, newLink, type InvitedUser, type User } from "../../api/users";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { ConfirmByName, Dialog, Drawer } from "../../ui/Dialog";
import { EndlessTable, ListPage } from "../../ui/EndlessTable";
import { EmptyState } from "../../ui/Feedback";
import { Field, Input } from "../../ui/Field";
import { Id } from "../../ui/Id";
import { Menu, MenuItem, MenuLabel, MenuLine } from "../../ui/Menu";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { ShownOnce } from "../../ui/ShownOnce";
import { Badge, State } from "../../ui/State";
import { TwoLines, type Column } from "../../ui/Table";
import { Choice } from "../../ui/Tabs";
import { Countdown, Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { Sessions } from "../account/Sessions";
import { ROLE_NAMES, ROLES } from "./roles";

const usersQuery = endless(["users"], listUsers);

type Asked = { what: "invite"; role: Role } | { what: "delete" | "look"; user: User } | { what: "link"; made: InvitedUser } | { what: "refused"; title: string; why: string };

/** Who signs in with an e-mail address, and as what. */
export function UsersPage() {
  const barred = useBarred("admin");
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  const list = useInfiniteQuery({ ...usersQuery, refetchInterval: usePageInterval(15_000) });
  const refused = (title: string, error: unknown) => {
    if (error instanceof Problem && error.status === 409) setAsked({ what: "refused", title, why: error.message });
    else toast({ tone: "bad", text: title, detail: adviceFor(error).title });
  };
  const invite = <Button kind="primary" icon="plus" barred={barred} onClick={() => setAsked({ what: "invite", role: "operator" })}>Invite somebody</Button>;
  const rows = list.data?.pages.flatMap((page) => page.rows) ?? [];
  const looked = asked?.what === "look" ? rows.find((user) => user.id === asked.user.id) ?? asked.user : undefined;
  return (
    <ListPage head={<PageHead title="Users" actions={invite} />}>
      <EndlessTable
        list={list} what="Users" label="Users" narrow={NARROW} rowKey={(user) => user.id} onOpen={(user) => setAsked({ what: "look", user })}
        columns={[...COLUMNS, { key: "do", stays: "after", head: <span className="sr-only">Actions</span>, width: "1.5rem", align: "right", cell: (user) => <Actions user={user} onAsk={setAsked} onRefused={refused} /> }]}
        empty={
          <EmptyState icon="users" title="Nobody has an account yet">
            <p className="max-w-prose">People with an account sign in by e-mail, with a role, and what they do stands in the audit log under their name.</p>
            <Curl method="POST" path="/api/v1/users" body={{ email: "grace@example.com", name: "Grace", role: "operator" }} />
            {invite}
          </EmptyState>
        }
      />
      {asked?.what === "invite" && <Invite role={asked.role} onClose={close} onMade={(made) => setAsked({ what: "link", made })} />}
      {asked?.what === "link" && <Link made={asked.made} onClose={close} />}
      {asked?.what === "delete" && <Delete user={asked.user} onClose={close} onRefused={refused} />}
      <Dialog
        open={asked?.what === "refused"} onClose={close} title={asked?.what === "refused" ? asked.title : ""} about={asked?.what === "refused" ? `${asked.why}.` : undefined}
        foot={<><Button onClick={() => setAsked({ what: "invite", role: "admin" })}>Invite another admin</Button><Button kind="primary" onClick={close}>Leave it as it is</Button></>}
      />
      <Drawer open={looked !== undefined} onClose={close} title={looked?.name ?? ""} about={looked?.email}>
        {looked && (
          <div className="flex flex-col gap-3">
            <Facts rows={[
              ["State", <State key="s" state={looked.state} />],
              ["Role", <span key="r">{looked.role}<span className="text-muted"> · {ROLES[looked.role].about}</span></span>],
              ["Signed in", looked.lastSignInAt ? <Time key="l" at={looked.lastSignInAt} /> : "never"],
              ["Made", <Time key="c" at={looked.createdAt} />],
              ["Id", <Id key="i" id={looked.id} />],
            ]} />
            <Panel title="Sessions" flush><Sessions user={looked.id} empty="No session is open." /></Panel>
          </div>
        )}
      </Drawer>
    </ListPage>
  );
}

const COLUMNS: readonly Column<User>[] = [
  { key: "name", head: "Name", width: "minmax(5rem,1fr)", cell: (user) => <span title={user.name} className="font-medium">{user.name}</span> },
  { key: "email", head: "E-mail", width: "minmax(9rem,1.3fr)", from: "sm", cell: (user) => <span title={user.email} className="text-muted">{user.email}</span> },
  { key: "role", head: "Role", width: "4.5rem", cell: (user) => <Badge tone={user.role === "admin" ? "busy" : "quiet"}>{user.role}</Badge> },
  { key: "state", head: "State", width: "5.5rem", cell: (user) => <State plain state={user.state} /> },
  { key: "last", head: "Signed in", width: "5.5rem", from: "md", cell: (user) => (user.lastSignInAt ? <span className="text-muted"><Time at={user.lastSignInAt} /></span> : <span className="text-muted">never</span>) },
  { key: "made", head: "Made", width: "5.5rem", from: "lg", cell: (user) => <span className="text-muted"><Time at={user.createdAt} /></span> },
];

const NARROW = {
  head: "User",
  cell: (user: User) => (
    <TwoLines
      first={<span className="font-medium">{user.name}</span>} aside={<Badge tone={user.role === "admin" ? "busy" : "quiet"}>{user.role}</Badge>}
      second={<><State plain state={user.state} /><span className="truncate text-muted">{user.email}</span></>}
    />
  ),
};

type Listed = InfiniteData<Page<User>>;

/** What is certain of a change is shown at once. */
function withUser(list: Listed | undefined, changed: User): Listed | undefined {
  return list && { ...list, pages: list.pages.map((page) => ({ ...page, rows: page.rows.map((row) => (row.id === changed.id ? changed : row)) })) };
}

interface Change {
  to: { role: Role } | { disabled: boolean };
  /** What takes it back. What is shown is changed at once, and does not say. */
  back: Change["to"];
}

function Actions({ user, onAsk, onRefused }: { user: User; onAsk: (asked: Asked) => void; onRefused: (title: string, error: unknown) => void }) {
  const client = useQueryClient();
  const session = useSession();
  const barred = useBarred("admin");
  const isSelf = session.user?.id === user.id;
  const change = useMutation({
    mutationFn: ({ to }: Change) => changeUser(user.id, to),
    onMutate: async ({ to }) => {
      await client.cancelQueries({ queryKey: usersQuery.queryKey });
      const before = client.getQueryData<Listed>(usersQuery.queryKey);
      // Whether one who is enabled again has a password, the relay says.
      const state = "disabled" in to && to.disabled ? "disabled" : user.state;
      client.setQueryData<Listed>(usersQuery.queryKey, withUser(before, { ...user, ...to, state }));
      return before;
    },
    onSuccess: (changed, { to, back }) => {
      client.setQueryData<Listed>(usersQuery.queryKey, (list) => withUser(list, changed));
      toast({
        text: "role" in to ? `${changed.name} is ${to.role} now` : to.disabled ? `${changed.name} is disabled` : `${changed.name} may sign in again`,
        detail: "disabled" in to && to.disabled ? "Their sessions are ended." : undefined,
        undo: () => change.mutate({ to: back, back: to }),
      });
    },
    onError: (error, { to, back }, before) => {
      client.setQueryData(usersQuery.queryKey, before);
      onRefused("role" in back ? `${user.name} stays ${back.role}` : `${user.name} was not ${"disabled" in to && to.disabled ? "disabled" : "enabled"}`, error);
    },
    onSettled: () => client.invalidateQueries({ queryKey: usersQuery.queryKey }),
  });
  const link = useMutation({
    gcTime: 0,
    mutationFn: () => newLink(user.id),
    onSuccess: (made) => onAsk({ what: "link", made }),
    onError: (error) => toast({ tone: "bad", text: "There is no link", detail: adviceFor(error).title }),
  });
  return (
    <Menu trigger={<Button kind="quiet" icon="dots" bare unhinted className="size-6" aria-label={`What to do with ${user.name}`}>More</Button>}>
      <MenuLabel>{user.email}</MenuLabel>
      <MenuItem icon="users" onSelect={() => onAsk({ what: "look", user })}>Sessions</MenuItem>
      <MenuLine />
      {ROLE_NAMES.map((role) => (
        <MenuItem key={role} checked={user.role === role} barred={barred} onSelect={() => user.role !== role && change.mutate({ to: { role }, back: { role: user.role } })}>
          {ROLES[role].name}<span className="block text-sm text-muted">{ROLES[role].about}</span>
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon="key" barred={barred || (user.disabled && "Disabled: enable them first")} onSelect={() => link.mutate()}>{user.state === "invited" ? "Make another invitation" : "Make a link to a new password"}</MenuItem>
      <MenuItem icon={user.disabled ? "play" : "stop"} barred={barred || (isSelf && "You would lock yourself out")} onSelect={() => change.mutate({ to: { disabled: !user.disabled }, back: { disabled: user.disabled } })}>{user.disabled ? "Enable" : "Disable"}</MenuItem>
      <MenuItem icon="trash" danger barred={barred || (isSelf && "Somebody else has to do that")} onSelect={() => onAsk({ what: "delete", user })}>Delete…</MenuItem>
    </Menu>
  );
}

function Delete({ user, onClose, onRefused }: { user: User; onClose: () => void; onRefused: (title: string, error: unknown) => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteUser(user.id),
    onSuccess: async () => {
      onClose();
      toast({ text: `${user.name} is deleted` });
      await client.invalidateQueries({ queryKey: usersQuery.queryKey });
    },
    onError: (error) => {
      onClose();
      onRefused(`${user.name} was not deleted`, error);
    },
  });
  return (
    <ConfirmByName
      open onClose={onClose} onConfirm={() => remove.mutate()} busy={remove.isPending} title="Delete the user" name={user.email} verb="Delete for good"
      about="Their sessions end at once, and the address is free. What they did stays in the audit log. Whoever may come back is better disabled."
    />
  );
}

function Invite({ role: first, onClose, onMade }: { role: Role; onClose: () => void; onMade: (made: InvitedUser) => void }) {
  const client = useQueryClient();
  const form = useId();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState(first);
  const [tried, setTried] = useState(false);
  const fault = email.trim() === "" ? "Say whom" : !/^[^@\s]+@[^@\s]+$/.test(email.trim()) ? "This is no e-mail address" : undefined;
  const invite = useMutation({
    gcTime: 0,
    mutationFn: () => inviteUser({ email: email.trim(), role, ...(name.trim() ? { name: name.trim() } : {}) }),
    onSuccess: async (made) => {
      onMade(made);
      await client.invalidateQueries({ queryKey: usersQuery.queryKey });
    },
  });
  const problem = invite.error instanceof Problem ? invite.error : undefined;
  const isTaken = problem?.status === 409;
  const elsewhere = invite.isError && !isTaken && !problem?.faults.some((one) => ["email", "name", "role"].includes(one.path));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!fault && !invite.isPending) invite.mutate();
  };
  return (
    <Dialog
      open onClose={onClose} title="Invite somebody" about="You get a link, once, to pass on. By it they set a password; the relay sends no mail."
      foot={<><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" form={form} busy={invite.isPending}>Make the invitation</Button></>}
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <Field label="E-mail" fault={(tried ? fault : undefined) ?? problem?.fault("email") ?? (isTaken ? problem.message : undefined)}><Input type="email" autoComplete="off" value={email} onChange={(event) => setEmail(event.target.value)} placeholder="grace@example.com" /></Field>
        <Field label="Name" optional hint="They can choose another." fault={problem?.fault("name")}><Input autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} maxLength={255} placeholder="Grace" /></Field>
        <fieldset>
          <legend className="mb-1 text-sm font-medium">Role</legend>
          <Choice label="Role" value={role} onChange={setRole} options={ROLE_NAMES.map((value) => ({ value, label: ROLES[value].name }))} />
          <p className="mt-1.5 text-sm text-muted">{ROLES[role].name}: {ROLES[role].about}.</p>
        </fieldset>
        {elsewhere && <p role="alert" className="text-bad">{adviceFor(invite.error).title}</p>}
      </form>
    </Dialog>
  );
}

function Link({ made, onClose }: { made: InvitedUser; onClose: () => void }) {
  if (!made.invitation) return null;
  return (
    <ShownOnce
      title={`A link for ${made.name}`} label="Link" text={`${window.location.origin}${made.invitation.path}`} onClose={onClose}
      about={<>Pass it on to {made.email} by a way that you trust: whoever opens it sets the password. It works once, within <Countdown until={made.invitation.expiresAt} />. A new link ends this one.</>}
    />
  );
}
