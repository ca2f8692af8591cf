import { lazy, Suspense, type ComponentProps } from "react";
import { Skeleton } from "./Feedback";

const Drawn = lazy(() => import("./Chart"));

/** A chart, whose library comes after the page. */
export function Chart(props: ComponentProps<typeof Drawn>) {
  const height = props.height ?? 180;
  return (
    <div style={{ minHeight: height + 24 }}>
      <Suspense fallback={<Skeleton className="h-44 w-full" />}><Drawn {...props} /></Suspense>
    </div>
  );
}
