import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { useCallback, useEffect } from "react";
import { Problem, Unreachable } from "../api/problem";
import { EmptyState, ErrorState } from "../ui/Feedback";

/** No page has this address. */
export function Missing() {
  return (
    <EmptyState icon="search" title="There is no such page">
      <p>The address may be mistyped, or of an older version.</p>
      <Link to="/" className="font-medium text-accent underline underline-offset-2">Go to the overview</Link>
    </EmptyState>
  );
}

/** How often a page that could not begin asks whether the relay is there again. */
const AGAIN = 5_000;

/** A page could not be drawn. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const again = useCallback(() => {
    reset();
    void router.invalidate();
  }, [reset, router]);
  // As the advice says: whoever waits for the relay need not press anything.
  const isAway = error instanceof Unreachable || (error instanceof Problem && error.status >= 500);
  useEffect(() => {
    if (!isAway) return;
    const timer = setInterval(() => document.visibilityState === "visible" && again(), AGAIN);
    return () => clearInterval(timer);
  }, [isAway, again]);
  return <ErrorState what="This page" error={error} onRetry={again} />;
}
