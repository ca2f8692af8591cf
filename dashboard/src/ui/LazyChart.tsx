import { lazy, Suspense, type ComponentProps } from "react";
import { Skeleton } from "./Feedback";

/** Its file is gone, or nobody answers: the page around it is whole all the same. */
function Missing() {
  return <p className="text-muted">The chart cannot be drawn: a part of this page did not load. Reload the page.</p>;
}

const Drawn = lazy(() => import("./Chart").catch(() => ({ default: Missing })));

/** A chart, whose library comes after the page. */
export function Chart(props: ComponentProps<typeof Drawn>) {
  const height = props.height ?? 180;
  return (
    <div style={{ minHeight: height + 24 }}>
      <Suspense fallback={<Skeleton className="h-44 w-full" />}><Drawn {...props} /></Suspense>
    </div>
  );
}
