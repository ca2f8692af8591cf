import { useRef, type ReactNode } from "react";
import { Logo } from "../../shell/Shell";
import { useTitle } from "../../ui/Panel";

/** The frame of pages that one sees before being signed in. */
export function AccountCard({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useTitle(heading);
  return (
    <main className="flex min-h-dvh items-start justify-center px-4 pb-8 pt-[14vh]">
      <div className="w-full max-w-88">
        <p className="mb-5 flex items-center gap-2 text-lg font-semibold tracking-tight"><Logo /> Posthaste</p>
        <h1 ref={heading} className="text-xl font-semibold tracking-tight">{title}</h1>
        {lead && <p className="mt-1 text-muted">{lead}</p>}
        <div className="mt-4">{children}</div>
      </div>
    </main>
  );
}
