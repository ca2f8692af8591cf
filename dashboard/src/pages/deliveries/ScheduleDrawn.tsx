import type { Delivery } from "../../api/types";
import { cx } from "../../ui/class-names";
import { useNow } from "../../ui/clock";
import { brief, duration, exact, exactTime, relative } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { HttpStatus } from "../../ui/State";
import { TONES, type Tone } from "../../ui/states";
import { Countdown } from "../../ui/Time";
import { drawnSchedule, type Policy } from "./schedule";
import { isGood } from "./words";

/** So many of those behind, and of those to come, are drawn. */
const MOST_PAST = 8;
const MOST_COMING = 12;

/** The round's attempts as a line of stations: behind, next, and those that come if each one fails. */
export function ScheduleDrawn({ delivery, policy, isHeld }: { delivery: Delivery; policy: Policy | undefined; isHeld: boolean }) {
  const now = useNow();
  const drawn = drawnSchedule(delivery, policy, now);
  const past = drawn.past.slice(-MOST_PAST);
  const before = drawn.past.length - past.length + drawn.missing;
  const coming = drawn.coming.slice(0, MOST_COMING);
  const beyond = drawn.coming.length - coming.length;
  if (past.length + coming.length === 0) return null;
  const made = drawn.past.length + drawn.missing;
  const lastOne = drawn.coming.at(-1);
  return (
    <Panel
      title="Schedule"
      aside={<span className="text-sm text-muted">
        {drawn.most !== undefined && `${exact(made)} of ${exact(drawn.most)} attempts`}{delivery.round > 1 && ` · round ${exact(delivery.round)}`}
      </span>}
    >
      <ol className="grid grid-cols-[repeat(auto-fill,minmax(4.75rem,1fr))] gap-y-3" aria-label="Attempts of this round">
        {before > 0 && <Station tone="quiet" name={`${exact(before)} before`} />}
        {past.map((attempt, index) => {
          const earlier = past[index - 1];
          return (
            <Station
              key={attempt.id} tone={isGood(attempt) ? "good" : "bad"} isLast={index === past.length - 1 && coming.length === 0 && delivery.status !== "pending"} name={<>#{attempt.number} <HttpStatus status={attempt.status} error={attempt.errorKind} /></>}
              note={<time dateTime={attempt.startedAt} title={exactTime(Date.parse(attempt.startedAt))}>{earlier ? `+${brief(Date.parse(attempt.startedAt) - Date.parse(earlier.startedAt))}` : relative(Date.parse(attempt.startedAt), now)}</time>}
            />
          );
        })}
        {coming.map((one, index) => (
          <Station
            key={one.number} tone={index > 0 ? "quiet" : isHeld ? "held" : "busy"} isComing name={`#${one.number}`} isNext={index === 0}
            note={index === 0
              ? isHeld ? <span className="font-medium text-held">held</span> : <span className="font-medium text-busy">{delivery.nextRetryAt ? <>in <Countdown until={delivery.nextRetryAt} past="a moment" /></> : "soon"}</span>
              : <span title={`Not before ${exactTime(one.at)}`}>+{duration(one.delayMs).replace(".0 s", " s")}</span>}
          />
        ))}
        {beyond > 0 && <Station tone="quiet" isComing name={`${exact(beyond)} more`} />}
        {delivery.status !== "pending" ? null : <Station tone="bad" isComing isEnd name={drawn.end === "age" ? "Expires" : "Fails"} note={!isHeld && lastOne && relative(lastOne.at, now).replace("just now", "then")} />}
      </ol>
      {drawn.coming.length > 1 && <p className="mt-3 text-sm text-muted">Those behind the next one come only while each one before fails. {policy?.jitter ? `Delays vary by ${Math.round(policy.jitter * 100)} %. ` : ""}What holds the subscription back moves them on.</p>}
    </Panel>
  );
}

function Station({ tone, name, note, isComing = false, isNext = false, isEnd = false, isLast = false }: { tone: Tone; name: React.ReactNode; note?: React.ReactNode; isComing?: boolean; isNext?: boolean; isEnd?: boolean; isLast?: boolean }) {
  return (
    <li className="min-w-0">
      <div aria-hidden="true" className="mb-1 flex h-3 items-center">
        <span className={cx("size-2.5 shrink-0 rounded-full", isEnd ? "border-2 border-quiet-mark bg-quiet-mark [clip-path:polygon(0_0,100%_50%,0_100%)]" : isComing ? cx("border-2 bg-panel", isNext ? (tone === "held" ? "border-held-mark" : "border-busy-mark") : "border-quiet-mark") : TONES[tone].mark)} />
        {!isEnd && !isLast && <span className={cx("h-0 flex-1 border-t-2", isComing ? "border-dashed border-line" : "border-quiet-mark")} />}
      </div>
      <p className={cx("truncate pr-2 text-sm font-medium", isComing && !isNext && "text-muted")}>{name}</p>
      <p className="truncate pr-2 text-sm text-muted">{note}</p>
    </li>
  );
}
