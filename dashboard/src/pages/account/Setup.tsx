import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { adviceFor, Problem } from "../../api/problem";
import { acceptInvitation, sessionQuery, setUp, type Session } from "../../api/session";
import { Button } from "../../ui/Button";
import { Field, Input } from "../../ui/Field";
import { toast } from "../../ui/toasts";
import { AccountCard } from "./Card";

/** The first user, by the link that the relay printed at its start. */
export function Setup() {
  return <Account title="Welcome" lead="This makes the first account, which administers the relay." withEmail verb="Make the account" save={(token, fields) => setUp({ token, ...fields })} />;
}

/** A further user, by the link that an administrator passed on. */
export function Invitation() {
  return <Account title="Welcome" lead="By this link you choose your password, and the name that others see." verb="Save, and sign in" save={(token, { name, password }) => acceptInvitation({ token, name, password })} />;
}

interface Fields {
  email: string;
  name: string;
  password: string;
}

function Account({ title, lead, withEmail = false, verb, save }: { title: string; lead: string; withEmail?: boolean; verb: string; save: (token: string, fields: Fields) => Promise<Session> }) {
  const router = useRouter();
  const client = useQueryClient();
  // Behind the #, so that no server and no log ever sees it.
  const [token] = useState(() => new URLSearchParams(window.location.hash.slice(1)).get("token"));
  const make = useMutation({
    mutationFn: (fields: Fields) => save(token ?? "", fields),
    onSuccess: async (session) => {
      client.clear();
      client.setQueryData(sessionQuery.queryKey, session);
      toast({ text: "The account is made", detail: `You are signed in as ${session.user?.email ?? session.name}.` });
      await router.navigate({ to: "/", replace: true });
    },
  });
  if (!token) {
    return (
      <AccountCard title="This link is incomplete" lead="Its last part, behind the #, is missing. Copy the whole link.">
        <Link to="/sign-in" className="font-medium text-accent underline underline-offset-2">Sign in instead</Link>
      </AccountCard>
    );
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => {
      const value = form.get(name);
      return typeof value === "string" ? value : "";
    };
    make.mutate({ email: text("email").trim(), name: text("name").trim(), password: text("password") });
  };
  const problem = make.error instanceof Problem ? make.error : undefined;
  const faulty = problem?.faults.some((fault) => ["email", "name", "password"].includes(fault.path));
  return (
    <AccountCard title={title} lead={lead}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field label="Name" fault={problem?.fault("name")}><Input name="name" autoComplete="name" required maxLength={255} /></Field>
        {withEmail && <Field label="E-mail" fault={problem?.fault("email")}><Input name="email" type="email" autoComplete="username" required /></Field>}
        <Field label="Password" hint="At least 12 characters. A few words that nobody guesses are best." fault={problem?.fault("password")}>
          <Input name="password" type="password" autoComplete="new-password" required />
        </Field>
        {make.isError && !faulty && <p role="alert" className="text-bad">{adviceFor(make.error).title}</p>}
        <Button kind="primary" type="submit" busy={make.isPending} className="h-8">{verb}</Button>
      </form>
    </AccountCard>
  );
}
