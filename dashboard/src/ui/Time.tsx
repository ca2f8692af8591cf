import { useNow } from "./clock";
import { duration, exactTime, relative, timeOfDay } from "./format";

/** A moment: relative and ticking, exact on hover, in the viewer's zone. */
export function Time({ at, clock = false }: { at: string | null | undefined; clock?: boolean }) {
  return at ? <Ticking at={at} clock={clock} /> : <span className="text-muted">–</span>;
}

function Ticking({ at, clock }: { at: string; clock: boolean }) {
  const now = useNow();
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={exactTime(moment)} className="whitespace-nowrap">
      {clock ? timeOfDay(moment) : relative(moment, now)}
    </time>
  );
}

/** How long until then: "in 12.0 s"; `past` once it is over. */
export function Countdown({ until, past = "now" }: { until: string; past?: string }) {
  const left = Date.parse(until) - useNow();
  return (
    <time dateTime={until} title={exactTime(Date.parse(until))} className="whitespace-nowrap">
      {left <= 0 ? past : duration(Math.ceil(left / 1_000) * 1_000).replace(".0 s", " s")}
    </time>
  );
}

/** When it is tried again. What something holds back stays due, for longer than a moment. */
export function NextTry({ at }: { at: string }) {
  return Date.parse(at) > useNow() ? <>next in <Countdown until={at} past="a moment" /></> : "due";
}
