import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { Problem } from "../api/problem";
import { useSession } from "../api/session";
import { EmptyState, ErrorState } from "../ui/Feedback";
import { maySee, PLACES } from "./places";

/** No page has this address. */
export function Missing() {
  return (
    <EmptyState icon="search" title="There is no such page">
      <p>The address may be mistyped, or of an older version.</p>
      <Link to="/" className="font-medium text-accent underline underline-offset-2">Go to the overview</Link>
    </EmptyState>
  );
}

/** A page could not be drawn. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <>
      <ErrorState
        what="This page" error={error}
        onRetry={() => {
          reset();
          void router.invalidate();
        }}
      />
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
