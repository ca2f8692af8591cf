import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
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

/** A page could not be drawn. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <ErrorState
      what="This page" error={error}
      onRetry={() => {
        reset();
        void router.invalidate();
      }}
    />
  );
}
