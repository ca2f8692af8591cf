/** What is wrong with the relay, what that means for deliveries, and what to do: for the line over every page. */
import type { Part, Reach } from "../api/reach";

export interface Trouble {
  tone: "bad" | "busy";
  what: string;
  means: string;
  /** For who runs the relay. */
  todo?: string;
  /** In the relay's own words; only operators are told. */
  detail?: string | undefined;
}

const KEPT = "Nothing that was accepted is lost.";

/** By part, the gravest first: what follows from another is not told beside it. */
const PARTS: readonly (readonly [part: string, trouble: Omit<Trouble, "detail">])[] = [
  ["tree", {
    tone: "bad", what: "This node cannot heal itself and stops.",
    means: `${KEPT} Another node takes over, or this one goes on once it is started again.`,
    todo: "See that it is started again; its log says what broke.",
  }],
  ["store", {
    tone: "bad", what: "The database does not answer.",
    means: `${KEPT} New events are refused with 503 until it is back, so senders must repeat them; deliveries wait and go on by themselves.`,
    todo: "Look at the database: whether it runs, its disk, its connections.",
  }],
  ["ownership", {
    tone: "bad", what: "This node may not deliver at the moment.",
    means: `${KEPT} Events are accepted; deliveries wait until a node has renewed its lease, or taken it over.`,
    todo: "If it lasts, look at the database and at the other nodes.",
  }],
  ["ingest", {
    tone: "bad", what: "New events cannot be stored at the moment.",
    means: "They are refused with 503, so senders must repeat them. What was accepted is safe.",
    todo: "Look at the database: the room on its disk, and how long a commit takes.",
  }],
  ["recorder", {
    tone: "busy", what: "Outcomes are recorded late.",
    means: `${KEPT} What was delivered meanwhile is delivered once more if this node breaks down now.`,
    todo: "Look at how long the database takes to commit.",
  }],
  ["deliveries", {
    tone: "busy", what: "Deliveries go out late.",
    means: `${KEPT} Some are due, and nothing but the relay itself holds them back.`,
    todo: "Look at the load of the node and of the database.",
  }],
  ["feed", {
    tone: "busy", what: "Redis does not answer.",
    means: `${KEPT} Everything is still delivered; what one node hands to another takes some seconds longer, and pages show another node's work late.`,
    todo: "Look at Redis; the relay connects again by itself.",
  }],
];

/** The gravest trouble; nothing where all is well. */
export function troubleOf({ awaySince, offline, health }: Reach): Trouble | undefined {
  if (awaySince !== undefined && offline) {
    return { tone: "bad", what: "Your computer has no network.", means: "The relay goes on without you.", todo: "This page comes back by itself." };
  }
  if (awaySince !== undefined) {
    return {
      tone: "bad", what: "This node does not answer.",
      means: `${KEPT} If another node runs it takes the deliveries over; otherwise they wait, and go on as soon as this one is back.`,
      todo: "Look whether the process runs, and at its log. This page shows what it knew, and comes back by itself.",
    };
  }
  const bad = (name: string): Part | undefined => {
    const part = health?.parts[name];
    return part && !part.ok ? part : undefined;
  };
  for (const [name, trouble] of PARTS) {
    const part = bad(name);
    if (part) return { ...trouble, detail: part.detail };
  }
  const other = Object.entries(health?.parts ?? {}).find(([, part]) => !part.ok);
  return other && { tone: "busy", what: `A part of the relay is not well: ${other[0]}.`, means: KEPT, detail: other[1].detail };
}
