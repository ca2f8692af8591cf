import type { ReactNode } from "react";
import { allows, useSession } from "../api/session";
import { CodeBlock, Curl } from "../ui/Code";
import { EXAMPLE_EVENT, EXAMPLE_RECEIVER, IS_HERE } from "./example";

interface Step {
  note: ReactNode;
  command?: string;
  curl?: { method: string; path: string; body: unknown };
}

/** From nothing to a delivery, in commands that work as they stand; those that the caller may give. */
export function FirstSteps({ subscription = false, event = false, patterns = ["*"] }: { subscription?: boolean; event?: boolean; patterns?: readonly string[] }) {
  const session = useSession();
  const subscribes = subscription && allows(session, "subscriptions:write");
  const sends = event && allows(session, "events:write");
  if (!subscribes && !sends) return null;
  const hasFile = allows(session, "admin") && session.tenant === null;
  const steps: Step[] = [
    hasFile
      ? { note: "The admin key, where the relay runs; or any other key", command: "export POSTHASTE_KEY=$(cat data/admin.key)" }
      : { note: "Your key: paste it, then Enter", command: "read -rs POSTHASTE_KEY && export POSTHASTE_KEY" },
    ...(subscribes && IS_HERE ? [{ note: <>In another terminal, a receiver that prints what comes (in the repository it is <span className="font-mono">target/debug/posthaste</span>)</>, command: "posthaste receive" }] : []),
    ...(subscribes ? [{ note: "Who wants which events, and where", curl: { method: "POST", path: "/api/v1/subscriptions", body: { name: "First", url: EXAMPLE_RECEIVER, eventTypes: patterns } } }] : []),
    ...(sends ? [{ note: "Something happened", curl: { method: "POST", path: "/api/v1/events", body: EXAMPLE_EVENT } }] : []),
  ];
  return (
    <ol className="flex w-[42rem] max-w-full min-w-0 flex-col gap-3 text-left">
      {steps.map(({ note, command, curl }, index) => (
        <li key={index} className="min-w-0">
          <p className="mb-1 text-sm text-muted">{index + 1}. {note}</p>
          {command && <CodeBlock label="command" text={command} />}
          {curl && <Curl {...curl} isKeyKnown />}
        </li>
      ))}
    </ol>
  );
}
