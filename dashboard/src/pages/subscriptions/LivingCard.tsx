/**
 * The subscription's actor as an instrument. One line leads from what waits to the receiver, through
 * everything that can hold a delivery back: it runs where deliveries flow, and is dead behind
 * whatever stops them.
 */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { allows, useSession } from "../../api/session";
import type { Runtime, Subscription } from "../../api/types";
import { Term } from "../../entities/Term";
import { useInterval } from "../../live/Live";
import { cx } from "../../ui/class-names";
import { useNow } from "../../ui/clock";
import { ErrorState, Skeleton } from "../../ui/Feedback";
import { exact } from "../../ui/format";
import { TONES } from "../../ui/states";
import { Countdown } from "../../ui/Time";
import { tokensOf, verdictOf, type Verdict } from "./instrument";
import { nextRetryQuery, runtimeQuery } from "./queries";
import { RetrySchedule } from "./RetrySchedule";
import { Upright, type Wire } from "./Station";
import { BacklogStation, BreakerStation, PaceStation, ReceiverStation, SlotsStation, WindowStation } from "./Stations";

/** How often it is asked for while it is looked at; facts ask sooner. */
const PULSE = 2_000;
/** And its next retry. */
const NEXT = 5_000;

export function LivingCard({ subscription }: { subscription: Subscription }) {
  const box = useRef<HTMLElement>(null);
  const isSeen = useIsSeen(box);
  const pulse = useInterval(PULSE);
  const query = useQuery({ ...runtimeQuery(subscription.id), refetchInterval: isSeen && pulse });
  const runtime = query.data;
  return (
    <section ref={box} aria-labelledby="living" className="overflow-hidden rounded-md border bg-panel">
      {runtime ? <Instrument subscription={subscription} runtime={runtime} isStale={query.isError} />
        : query.isError ? <><h2 id="living" className="sr-only">How it is doing</h2><ErrorState what="How it is doing" error={query.error} onRetry={() => void query.refetch()} /></>
          : <><h2 id="living" className="sr-only">How it is doing</h2><div role="status" aria-label="Loading" className="h-[40rem] p-3 sm:h-[31rem] xl:h-80"><Skeleton className="mb-6 h-4 w-64" /><Skeleton className="h-28 w-full" /></div></>}
    </section>
  );
}

function Instrument({ subscription, runtime, isStale }: { subscription: Subscription; runtime: Runtime; isStale: boolean }) {
  const now = useNow();
  const isUpright = useIsUpright();
  const verdict = verdictOf(runtime, now);
  const tokens = tokensOf(runtime, subscription.rateLimit);
  const isHeld = verdict.gate === "held";
  const isCut = verdict.gate === "cut";
  const isStopped = verdict.gate === "stopped";
  // The line runs up to what stops it; behind that it is dead.
  const isDead = { window: isStopped, pace: isStopped, breaker: isStopped || isHeld, slots: isStopped || isHeld || isCut };
  // A line that is paced, or blocked in part, still runs.
  const runs = verdict.gate === "flowing" || verdict.gate === "probing" || (verdict.gate === "waiting" && (runtime.drain.perSecond ?? 0) > 0);
  const pace = runs ? Math.min(4, Math.max(0.25, (runtime.drain.perSecond ?? 1) / 4)) : 0;
  const wire = (dead: boolean): Wire => ({ dead, tone: verdict.tone, pace: dead ? 0 : pace });
  return (
    <>
      <header className="flex min-h-10 flex-wrap items-center gap-x-3 gap-y-0.5 border-b px-3 py-1.5">
        <h2 id="living" className={cx("flex items-center gap-2 text-lg font-semibold", TONES[verdict.tone].text)}>
          <Lamp verdict={verdict} />{verdict.word}
        </h2>
        <p className="min-w-0 flex-1 basis-52 text-muted">
          {verdict.detail}
          {isCut && runtime.breaker.nextProbeAt && <> · probe in <b className="font-semibold text-text"><Countdown until={runtime.breaker.nextProbeAt} past="a moment" /></b></>}
          {isHeld && runtime.holdUntil && <> · for another <b className="font-semibold text-text"><Countdown until={runtime.holdUntil} past="moment" /></b></>}
        </p>
        <p className="text-sm text-muted">
          {isStale ? <span className="text-busy">the relay does not answer now</span>
            : runtime.owner === "another" ? "another process delivers: what only that one knows is not shown"
              : (runtime.restarts ?? 0) > 0 ? <span className="text-busy">its actor was started again {exact(runtime.restarts ?? 0)}×</span> : ""}
        </p>
      </header>
      <Upright value={isUpright}>
        <ul className={isUpright ? "py-1" : "grid grid-cols-3 pt-1 xl:grid-cols-6"}>
          <BacklogStation runtime={runtime} verdict={verdict} leaving={wire(isDead.window)} />
          <WindowStation runtime={runtime} isIdle={isStopped || isCut} leaving={wire(isDead.pace)} />
          <PaceStation runtime={runtime} tokens={tokens} isHeld={isHeld} arriving={wire(isDead.pace)} leaving={wire(isDead.breaker)} />
          <BreakerStation runtime={runtime} subscription={subscription} now={now} arriving={wire(isDead.breaker)} leaving={wire(isDead.slots)} />
          <SlotsStation subscription={subscription} runtime={runtime} leaving={wire(isDead.slots)} />
          <ReceiverStation subscription={subscription} runtime={runtime} verdict={verdict} />
        </ul>
      </Upright>
      <footer className="border-t px-3 pb-2 pt-1.5"><Retries subscription={subscription} runtime={runtime} isHeld={isHeld || isCut || isStopped} /></footer>
    </>
  );
}

function Lamp({ verdict }: { verdict: Verdict }) {
  return <span aria-hidden="true" className={cx("size-2.5 rounded-full", TONES[verdict.tone].mark, verdict.gate === "probing" && "breathe")} />;
}

/** The schedule that its deliveries follow, and what comes next. */
function Retries({ subscription, runtime, isHeld }: { subscription: Subscription; runtime: Runtime; /** Nothing is sent now, whatever is due. */ isHeld: boolean }) {
  const now = useNow();
  const mayRead = allows(useSession(), "deliveries:read");
  const { data: next } = useQuery({ ...nextRetryQuery(subscription.id), enabled: runtime.backlog.count > 0 && mayRead, refetchInterval: useInterval(NEXT) });
  const waiting = runtime.backlog.count > 0 ? next : undefined;
  return (
    <>
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 className="label"><Term of="retries">Retries</Term>{subscription.retryPolicy ? "" : ", by the relay's default"}</h3>
        <p className="text-sm text-muted">
          {waiting?.next
            ? <>{Date.parse(waiting.next.at) > now ? <>next retry in <b className="font-semibold text-text"><Countdown until={waiting.next.at} past="a moment" /></b></> : isHeld ? "next retry is due, and held" : "next retry is due"}, attempt {waiting.next.attempt}{waiting.waiting > 1 && `, of ${waiting.all ? waiting.waiting : `the newest ${waiting.waiting}`} that wait for one`}</>
            : runtime.breaker.state === "open" && runtime.backlog.count > 0 ? "retries wait until a probe succeeds"
              : waiting && !waiting.all ? "none of the newest that wait is a retry" : "no retry is planned"}
        </p>
      </div>
      <RetrySchedule policy={subscription.effective.retryPolicy} {...(waiting?.next ? { next: waiting.next.attempt } : {})} />
    </>
  );
}

/** Whether any of it is in the window. */
function useIsSeen(box: React.RefObject<HTMLElement | null>): boolean {
  const [isSeen, setIsSeen] = useState(true);
  useEffect(() => {
    if (!box.current) return;
    const observer = new IntersectionObserver(([entry]) => entry && setIsSeen(entry.isIntersecting));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return isSeen;
}

/** There is no room for stations beside each other. */
const NARROW = window.matchMedia("(width < 40rem)");

function watchNarrow(tell: () => void) {
  NARROW.addEventListener("change", tell);
  return () => NARROW.removeEventListener("change", tell);
}

function useIsUpright(): boolean {
  return useSyncExternalStore(watchNarrow, () => NARROW.matches);
}
