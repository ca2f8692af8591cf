import { useReach, useStanding } from "../live/Live";
import type { Standing } from "../live/connection";
import { cx } from "../ui/class-names";
import { Hint } from "../ui/Tooltip";
import { useAsking } from "./session-end";

interface Words {
  word: string;
  about: string;
  mark: string;
}

const WORDS: Record<Standing, Words> = {
  live: { word: "Live", about: "What happens shows up by itself, at once.", mark: "bg-good-mark" },
  connecting: { word: "Connecting", about: "The live stream is being opened.", mark: "bg-busy-mark breathe" },
  polling: { word: "Every 5 s", about: "The live stream is away; pages ask every five seconds until it is back.", mark: "bg-busy-mark" },
  resting: { word: "Resting", about: "Nothing is asked for while this page is hidden.", mark: "bg-quiet-mark" },
  refused: { word: "Not live", about: "Your account or key may not read the live stream; pages ask every five seconds.", mark: "bg-quiet-mark" },
};

const AWAY: Words = { word: "No answer", about: "The relay does not answer. This page shows what it knew, and tries again by itself.", mark: "bg-bad-mark" };

const ENDED: Words = { word: "Signed out", about: "Your session has ended. This page shows what it knew until you sign in again.", mark: "bg-quiet-mark" };

/** Whether what is shown keeps itself up to date. */
export function ConnectionMark() {
  const standing = useStanding();
  const { awaySince } = useReach();
  const isEnded = useAsking();
  const { word, about, mark } = awaySince !== undefined ? AWAY : isEnded ? ENDED : WORDS[standing];
  return (
    <Hint text={about} side="right">
      <button type="button" className="inline-flex h-7 items-center gap-2 rounded px-2 text-sm text-muted hover:text-text md:gap-[0.8125rem] md:pl-[0.71875rem]" aria-label={`${word}. ${about}`}>
        <span className={cx("size-2 rounded-full", mark)} />
        {word}
      </button>
    </Hint>
  );
}
