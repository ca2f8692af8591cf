import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { useCallback, useEffect } from "react";
import { Problem, Unreachable } from "../api/problem";
import { useSession } from "../api/session";
import { EmptyState, ErrorState } from "../ui/Feedback";
import { PageHead, Panel } from "../ui/Panel";
import { answers, NotLoaded } from "./lazy-page";
import { maySee, PLACES } from "./places";

/** No page has this address. */
export function Missing() {
  return (
    <main>
      <EmptyState icon="search" level={1} title="There is no such page">
        <p>The address may be mistyped, or of an older version.</p>
        <Link to="/" className="font-medium text-accent underline underline-offset-2">Go to the overview</Link>
      </EmptyState>
    </main>
  );
}

/** Times between two tries of a page that is broken because the relay is. */
const SOON = 2_000;
const LONGEST = 30_000;

/** A page could not be drawn. Where that is the relay's fault, it comes back with the relay. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const client = useQueryClient();
  const again = useCallback(() => {
    if (error instanceof NotLoaded) error.forget();
    // What could not be drawn is not drawn from again.
    void client.resetQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
    reset();
    void router.invalidate();
  }, [client, error, reset, router]);
  const heals = error instanceof NotLoaded ? error.away : error instanceof Unreachable || (error instanceof Problem && error.status >= 500);
  useEffect(() => {
    if (!heals) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (wait: number) => {
      if (document.visibilityState !== "hidden" && await answers() && !over) again();
      if (!over) timer = setTimeout(() => void look(Math.min(wait * 1.5, LONGEST)), wait);
    };
    timer = setTimeout(() => void look(SOON), SOON);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [heals, again]);
  return (
    <>
      <PageHead title="Something is wrong" />
      <Panel flush><ErrorState what="This page" error={error instanceof NotLoaded && error.away ? new Unreachable() : error} onRetry={again} /></Panel>
      {error instanceof Problem && error.status === 403 && <p className="px-4"><Link to="/sign-in" className="font-medium text-accent underline underline-offset-2">Sign in as somebody else</Link></p>}
    </>
  );
}

/** A page that this account or key is not for. */
export function Barred() {
  const session = useSession();
  const first = PLACES.find((one) => maySee(session, one));
  return (
    <EmptyState icon="held" title="This page is not open to you" level={1}>
      <p className="max-w-prose">{session.role ? `You are signed in as ${session.user?.email ?? session.name}, with the role ${session.role}.` : `You are signed in with the key “${session.name}”.`} Whoever administers the relay can widen what you may do; or sign in as somebody else.</p>
      {first && <Link to={first.to} className="font-medium text-accent underline underline-offset-2">Go to {first.name}</Link>}
    </EmptyState>
  );
}
