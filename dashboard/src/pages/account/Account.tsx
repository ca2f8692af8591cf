import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useRef, type FormEvent } from "react";
import { adviceFor, Problem } from "../../api/problem";
import { changePassword, useSession } from "../../api/session";
import { Button } from "../../ui/Button";
import { Field, Input } from "../../ui/Field";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { Badge } from "../../ui/State";
import { Choice } from "../../ui/Tabs";
import { chooseTheme, useTheme } from "../../ui/theme";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { inShort } from "../keys/scopes";
import { ROLES } from "../users/roles";
import { Sessions } from "./Sessions";

/** Oneself: who one is here, by what one comes in, and from where. */
export function AccountPage() {
  const session = useSession();
  const { chosen } = useTheme();
  const { user, key } = session;
  return (
    <>
      <PageHead title="Your account" />
      <div className="grid max-w-5xl gap-3 lg:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-3">
          <Panel title="Who you are">
            <Facts rows={[
              ["Name", session.name],
              user ? ["E-mail", user.email] : null,
              session.role ? ["Role", <span key="r">{session.role}<span className="text-muted"> · {ROLES[session.role].about}</span></span>] : null,
              !user ? ["Signed in with", key ? `the key “${key.name}”` : "the admin key of the settings"] : null,
              session.tenant !== null ? ["Tenant", session.tenant] : null,
              ["You may", <span key="m" className="flex flex-wrap gap-1" title={session.scopes.join(", ")}>{inShort(session.scopes).map((word) => <Badge key={word}>{word}</Badge>)}</span>],
              ["This session ends", <Time key="e" at={session.expiresAt} />],
            ]} />
          </Panel>
          <Panel title="Theme">
            <Choice label="Theme" value={chosen} onChange={chooseTheme} options={[{ value: "system", label: "As the system has it" }, { value: "light", label: "Light" }, { value: "dark", label: "Dark" }]} />
          </Panel>
          {user ? <Password email={user.email} /> : (
            <Panel title="Password"><p className="text-muted">Keys have no password.{session.tenant === null && session.scopes.includes("admin") && <> Make an account of your own under <Link to="/users" className="text-accent underline underline-offset-2">Users</Link>: what you do stands in the audit log under your name then.</>}</p></Panel>
          )}
        </div>
        <Panel title="Your sessions" flush className="self-start">
          <Sessions
            {...(user ? { user: user.id } : {})} empty="None is open."
            mine={(one) => (user ? one.user?.id === user.id : one.user === null && one.key?.id === key?.id)}
          />
        </Panel>
      </div>
    </>
  );
}

function Password({ email }: { email: string }) {
  const client = useQueryClient();
  const form = useRef<HTMLFormElement>(null);
  const change = useMutation({
    gcTime: 0,
    mutationFn: changePassword,
    onSuccess: async () => {
      form.current?.reset();
      toast({ text: "Your password is changed", detail: "Your other sessions are ended." });
      await client.invalidateQueries({ queryKey: ["sessions"] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (change.isPending) return;
    const fields = new FormData(event.currentTarget);
    const text = (name: string) => {
      const value = fields.get(name);
      return typeof value === "string" ? value : "";
    };
    change.mutate({ current: text("current"), password: text("password") });
  };
  const problem = change.error instanceof Problem ? change.error : undefined;
  const elsewhere = change.isError && !problem?.faults.some((fault) => ["current", "password"].includes(fault.path));
  return (
    <Panel title="Password">
      <form ref={form} onSubmit={submit} className="flex max-w-sm flex-col gap-3">
        {/* So that the browser's own keeper of passwords knows whose it is. */}
        <input type="email" name="email" autoComplete="username" value={email} readOnly hidden />
        <Field label="The one that you have" fault={problem?.fault("current") && "This is not your password"}><Input name="current" type="password" autoComplete="current-password" required /></Field>
        <Field label="The new one" hint="At least 12 characters. A few words that nobody guesses are best." fault={problem?.fault("password")}><Input name="password" type="password" autoComplete="new-password" required minLength={12} maxLength={256} /></Field>
        {elsewhere && <p role="alert" className="text-bad">{adviceFor(change.error).title}</p>}
        <div><Button kind="primary" type="submit" busy={change.isPending}>Change the password</Button></div>
        <p className="text-sm text-muted">Your other sessions are ended by it.</p>
      </form>
    </Panel>
  );
}
