import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useId, useState, type FormEvent } from "react";
import { adviceFor, Problem } from "../api/problem";
import { sessionQuery, signIn, useSession } from "../api/session";
import { useReopen } from "../live/Live";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Feedback";
import { Field, Input } from "../ui/Field";
import { doneAsking, useAsking } from "./session-end";

/** Over a page on which something was typed, when its session ends: what was typed stays. */
export function SignInAgain() {
  const asking = useAsking();
  const { user } = useSession();
  const client = useQueryClient();
  const router = useRouter();
  const reopen = useReopen();
  const form = useId();
  const [putOff, setPutOff] = useState(false);
  const enter = useMutation({
    mutationFn: (secret: string) => signIn(user ? { email: user.email, password: secret } : { key: secret.trim() }),
    onSuccess: async (session) => {
      client.setQueryData(sessionQuery.queryKey, session);
      setPutOff(false);
      doneAsking();
      // Whoever has another role now, or came with another key, is shown what they may.
      await router.invalidate();
      void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
      reopen();
    },
  });
  const leave = () => {
    doneAsking();
    const back = router.state.location.href;
    void router.navigate({ to: "/sign-in", search: { back } }).then(() => client.clear());
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const secret = new FormData(event.currentTarget).get("secret");
    if (typeof secret === "string") enter.mutate(secret);
  };
  const isWrong = enter.error instanceof Problem && enter.error.status === 401;
  const fault = enter.error && (isWrong ? (user ? "This is not the password." : "This key is not valid here.") : adviceFor(enter.error).title);
  if (asking && putOff) {
    return (
      <div className="sticky top-0 z-10 mb-3 bg-panel max-md:top-12">
        <Notice tone="bad" icon="key" actions={<Button onClick={() => setPutOff(false)}>Sign in</Button>}>Your session has ended. What you typed is still there; sign in before you save it.</Notice>
      </div>
    );
  }
  return (
    <Dialog
      open={asking} onClose={() => setPutOff(true)} title="Your session has ended"
      about="Sign in again to go on. What you typed is still there; what was not saved, save once more."
      foot={<>
        <Button onClick={leave}>Leave this page</Button>
        <Button kind="primary" type="submit" form={form} busy={enter.isPending}>Sign in</Button>
      </>}
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3">
        <Field label={user ? `Password of ${user.email}` : "API key"} fault={fault ?? undefined}>
          <Input name="secret" type="password" autoComplete={user ? "current-password" : "off"} spellCheck={false} mono={!user} required />
        </Field>
        {/* For what keeps passwords. Behind the field, which takes the focus as the first one. */}
        {user && <input type="hidden" autoComplete="username" value={user.email} readOnly />}
      </form>
    </Dialog>
  );
}
