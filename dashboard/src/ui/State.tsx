import { cx } from "./class-names";
import { Icon } from "./Icon";
import { lookOf, TONES, type Tone } from "./states";
import type { ReactNode } from "react";

/** A state as picture and word. `plain` for tables, where a ground behind each would be noise. */
export function State({ state, plain = false, title }: { state: string; plain?: boolean; title?: string }) {
  const look = lookOf(state);
  const tone = TONES[look.tone];
  return (
    <span
      title={title}
      className={cx(
        "inline-flex items-center gap-1.5 whitespace-nowrap font-medium",
        plain ? tone.text : `${tone.chip} rounded px-1.5 py-px text-sm`,
      )}
    >
      <Icon name={look.icon} size={13} />
      {/* It stands on the line of the text around it, not the picture. */}
      <span className="self-baseline">{look.word}</span>
    </span>
  );
}

/** A short word on a ground. */
export function Badge({ tone = "quiet", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={cx("inline-flex items-center whitespace-nowrap rounded px-1.5 text-xs font-medium", TONES[tone].chip)}>{children}</span>;
}

/** What an HTTP call came to: its status, or the error's kind. */
export function HttpStatus({ status, error }: { status: number | null | undefined; error?: string | null | undefined }) {
  if (status === null || status === undefined) {
    return error ? <span className="font-mono text-sm text-bad">{error}</span> : <span className="text-muted">–</span>;
  }
  const tone: Tone = status < 300 ? "good" : status < 400 ? "quiet" : status < 500 ? "busy" : "bad";
  return <span className={cx("font-mono text-sm font-medium", TONES[tone].text)}>{status}</span>;
}
