import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { adviceFor, Problem } from "../../api/problem";
import { readSetup, sessionQuery, signIn, type Credentials } from "../../api/session";
import { homeOf } from "../../shell/places";
import { Button } from "../../ui/Button";
import { Field, Input } from "../../ui/Field";
import { Notice } from "../../ui/Feedback";
import { Choice } from "../../ui/Tabs";
import { bareKey } from "../../ui/pasted";
import { AccountCard } from "./Card";
import { forgetKey, takeKey, takenKey } from "./fragment";

const route = getRouteApi("/sign-in");

/** By e-mail and password, or by an API key. */
export function SignIn() {
  const { back } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const [given, setGiven] = useState(takenKey);
  const [by, setBy] = useState<"password" | "key">(given ? "key" : "password");
  // Another link, opened where this page is shown already.
  useEffect(() => {
    const look = () => {
      takeKey();
      if (takenKey() === undefined) return;
      setGiven(takenKey());
      setBy("key");
    };
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  const setup = useQuery({ queryKey: ["setup"], queryFn: readSetup, retry: false });
  const enter = useMutation({
    mutationFn: (credentials: Credentials) => signIn(credentials),
    onSuccess: async (session) => {
      forgetKey();
      client.clear();
      client.setQueryData(sessionQuery.queryKey, session);
      if (back) await router.navigate({ href: back });
      else await router.navigate({ to: homeOf(session) });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const text = (name: string) => {
      const value = fields.get(name);
      return typeof value === "string" ? value : "";
    };
    enter.mutate(by === "key" ? { key: bareKey(text("key")) } : { email: text("email").trim(), password: text("password") });
  };
  return (
    <AccountCard title="Sign in">
      {setup.data?.needed && (
        <div className="mb-4">
          <Notice tone="busy" icon="key">Nobody has an account yet. Open the link that the relay printed on its terminal at the start, or run <span className="font-mono text-sm">posthaste users create</span>.</Notice>
        </div>
      )}
      <Choice label="How to sign in" value={by} onChange={(next) => { enter.reset(); setBy(next); }} options={[{ value: "password", label: "E-mail" }, { value: "key", label: "API key" }]} />
      <form onSubmit={submit} className="mt-3 flex flex-col gap-3">
        {by === "password" ? (
          <>
            <Field label="E-mail"><Input name="email" type="email" autoComplete="username" required /></Field>
            <Field label="Password"><Input name="password" type="password" autoComplete="current-password" required /></Field>
          </>
        ) : (
          <Field label="API key" hint={given ? "It came with the link that you opened." : "An administrator's key shows everything, a client's key its own subscriptions."}>
            <Input key={given} defaultValue={given} name="key" type="password" autoComplete="off" spellCheck={false} mono required />
          </Field>
        )}
        {enter.isError && (
          <p role="alert" className="text-bad">{enter.error instanceof Problem && enter.error.status === 401 && enter.error.code !== "key-ended" ? (by === "key" ? "This key is not valid here." : "E-mail and password do not match.") : refusal(enter.error)}</p>
        )}
        <Button kind="primary" type="submit" busy={enter.isPending} className="h-8">Sign in</Button>
        {by === "password" && (
          <details className="text-sm text-muted">
            <summary className="min-h-6 w-fit leading-6">Forgot the password?</summary>
            <p>No e-mail is sent. Ask an administrator: under Users they make a link by which you set a new one. An administrator who is locked out does it where the relay runs, by <span className="font-mono">posthaste users password ADDRESS</span>, or signs in with the admin key.</p>
          </details>
        )}
      </form>
    </AccountCard>
  );
}

/** Where the words of the refusal say nothing of what to do, that too. */
function refusal(error: unknown): string {
  const { title, advice } = adviceFor(error);
  const said = title.charAt(0).toUpperCase() + title.slice(1);
  return error instanceof Problem && error.code !== "inactive-tenant" ? said : `${said}. ${advice}`;
}
