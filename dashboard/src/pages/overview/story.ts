/** The lines of `live/lately.ts` in words: what happened, why, and what comes next. */
import type { Line, What } from "../../live/lately";
import { count, duration } from "../../ui/format";
import type { IconName } from "../../ui/Icon";
import type { Tone } from "../../ui/states";
import { FAILURE_WORDS } from "../deliveries/words";

export interface Told {
  tone: Tone;
  icon: IconName;
  head: string;
  text: string;
}

const LOOKS: Record<Exclude<What, "state" | "passed">, { tone: Tone; icon: IconName }> = {
  cut: { tone: "bad", icon: "cut" },
  recovered: { tone: "good", icon: "check" },
  retried: { tone: "busy", icon: "retry" },
  refused: { tone: "held", icon: "held" },
  lost: { tone: "bad", icon: "cross" },
  blocked: { tone: "busy", icon: "warning" },
};

const STATES: Record<string, Told> = {
  paused: { tone: "held", icon: "pause", head: "paused", text: "Nothing is sent until somebody resumes it. What comes is kept." },
  deactivated: { tone: "bad", icon: "stop", head: "deactivated by a rule", text: "Its page says which. What comes is kept until it is reactivated." },
  suspended: { tone: "bad", icon: "warning", head: "suspended", text: "Its actor kept crashing. What comes is kept until it is reactivated." },
  deleted: { tone: "quiet", icon: "trash", head: "deleted", text: "It gets nothing any more." },
};

const PASSED: Record<string, Omit<Told, "text"> & { text: string }> = {
  skipped: { tone: "held", icon: "skip", head: "skipped", text: "Not sent, and kept: a replay sends them." },
  expired: { tone: "bad", icon: "clock", head: "expired", text: "They became too old before they could arrive. They can be sent again." },
  cancelled: { tone: "quiet", icon: "stop", head: "cancelled", text: "Somebody ended them unsent. They can be sent again." },
};

const many = (times: number, one: string, others: string) => (times === 1 ? one : `${count(times)} ${others}`);

/** "answered 500", "no connection could be made"; nothing where it is not known. */
function why(answer: string | null): string {
  if (answer === null) return "";
  if (/^\d/.test(answer)) return `it answered ${answer}`;
  const words = FAILURE_WORDS[answer]?.what ?? answer.replaceAll("_", " ");
  return words.charAt(0).toLowerCase() + words.slice(1).replace(/\.$/, "");
}

export function told(line: Line): Told {
  const { what, times, arrived } = line;
  const reason = why(line.answer);
  switch (what) {
    case "cut": {
      const probes = many(times, "one probe failed", "probes failed");
      if (line.over) return { ...LOOKS.cut, tone: "quiet", head: "breaker was open", text: `${reason ? `Attempts failed: ${reason}. ` : ""}${times > 0 ? `${probes.charAt(0).toUpperCase()}${probes.slice(1)} until it was back. ` : ""}Nothing was lost.` };
      const next = line.probing ? "A single attempt tries it now." : times > 0 ? `So far ${probes}; after a while the next one tries.` : "In a moment a single attempt tries it.";
      return { ...LOOKS.cut, head: "breaker open", text: `${reason ? `Too many attempts failed: ${reason}.` : "Too many attempts failed."} Nothing is sent, what comes waits. ${next}` };
    }
    case "recovered":
      return { ...LOOKS.recovered, head: "back", text: `A probe arrived${line.tookMs === null ? "" : `, ${duration(Math.ceil(line.tookMs / 1_000) * 1_000).replace(".0 s", " s")} after the breaker had opened`}. It is closed, and what waited goes out.` };
    case "retried": {
      const since = arrived === 0 ? "" : ` ${many(arrived, "One", "")}`.trimEnd() + " arrived at a later attempt since.";
      return { ...LOOKS.retried, head: many(times, "an attempt failed", "attempts failed"), text: `${reason ? `${reason.charAt(0).toUpperCase()}${reason.slice(1)}. ` : ""}${times === 1 ? "It is" : "Each is"} tried again after a delay.${since}` };
    }
    case "refused":
      return { ...LOOKS.refused, head: "asked for a pause", text: `It takes no more than so many.${times > 0 ? ` ${many(times, "One was", "were")} turned away${line.answer ? ` (${line.answer})` : ""}:` : ""} what is left waits for as long as it asked.` };
    case "lost":
      return { ...LOOKS.lost, head: many(times, "a delivery failed", "deliveries failed"), text: "All attempts are used up. Once the receiver is mended, send them again from its page." };
    case "blocked":
      return { ...LOOKS.blocked, head: "a line is blocked", text: "A delivery failed for good, and those behind it wait. Its page lets you send it again, or pass it over." };
    case "passed": {
      const known = PASSED[line.state ?? ""] ?? { tone: "quiet" as const, icon: "dots" as const, head: line.state ?? "", text: "" };
      return { ...known, head: `${count(times)} ${known.head}` };
    }
    case "state":
      return STATES[line.state ?? ""] ?? { tone: "good", icon: "check", head: "changed", text: `It is ${line.state ?? "changed"} now.` };
  }
}
