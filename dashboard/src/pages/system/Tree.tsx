import type { ReactNode } from "react";
import type { Actor, System } from "../../api/types";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { cx } from "../../ui/class-names";
import { SkeletonRows } from "../../ui/Feedback";
import { useNow } from "../../ui/clock";
import { count, exact } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { Time } from "../../ui/Time";

const ROW = "grid min-h-8 grid-cols-[minmax(0,1fr)_5.5rem_3.5rem] items-center gap-x-3 py-1 sm:grid-cols-[minmax(0,1fr)_7rem_3.5rem_4.25rem]";
/** A branch: down from the parent, and across to the child. */
const BRANCH = "relative pl-6 before:absolute before:left-2 before:top-0 before:h-full before:w-px before:bg-edge/60 last:before:h-4 after:absolute after:left-2 after:top-4 after:h-px after:w-3 after:bg-edge/60";
/** A death is news for so long. */
const NEWS = 60_000;

/** Who runs under whom, what waits before each, and how often each was started again. */
export function Tree({ system }: { system: System | undefined }) {
  return (
    <Panel title="Supervision tree" flush aside={<span className="text-sm text-muted">an actor that ends is started again</span>}>
      {!system ? <SkeletonRows rows={12} /> : (
        <div className="px-3 pb-2">
          <div aria-hidden="true" className={cx(ROW, "label")}>
            <span>Actor</span><span className="text-right">Waiting</span><span className="text-right">Restarts</span><span className="hidden text-right sm:block">Started</span>
          </div>
          <ul>
            <li>
              <Row name="root" purpose="starts the others again, or ends the process" since={system.node.startedAt} restarts={0} />
              <ul>{system.actors.map((actor) => (
                <li key={actor.name} className={BRANCH}>
                  <One actor={actor} />
                  {actor.name === "dispatcher" && <Subscriptions of={system.subscriptions} />}
                </li>
              ))}</ul>
            </li>
          </ul>
        </div>
      )}
    </Panel>
  );
}

function One({ actor }: { actor: Actor }) {
  const died = actor.lastDeath;
  const isNews = useNow() - Date.parse(died?.at ?? "") < NEWS;
  return (
    // Another life is another row: it draws the eye once.
    <div key={actor.restarts} className={cx(isNews && "arrive")}>
      <Row name={actor.name} purpose={actor.purpose} since={actor.since} restarts={actor.restarts} waiting={actor.waiting && <Queue queue={actor.waiting} />} isRestarting={!actor.since} />
      {died && (
        <p className={cx("flex items-start gap-1.5 pb-1.5 text-sm", isNews ? "text-bad" : "text-muted")}>
          <Icon name="warning" size={13} className="mt-0.5" />
          <span className="min-w-0 break-words">Ended <Time at={died.at} />: {died.reason}</span>
        </p>
      )}
    </div>
  );
}

function Subscriptions({ of }: { of: System["subscriptions"] }) {
  return (
    <ul className="pb-1">
      <li className={BRANCH}>
        <Row
          name={<>subscription <span className="font-sans font-normal text-muted">×</span> {exact(of.live)}</>}
          purpose="one each, while there is work" restarts={of.restarts}
        />
        {of.restarted.length > 0 && (
          <ul aria-label="Restarted most often">
            {of.restarted.map((one) => (
              <li key={one.id} className={BRANCH}>
                <div className={ROW}>
                  <SubscriptionName id={one.id} name={null} className="font-mono text-sm" />
                  <span />
                  <Restarts count={one.restarts} />
                </div>
              </li>
            ))}
          </ul>
        )}
      </li>
    </ul>
  );
}

function Row({ name, purpose, since, restarts, waiting, isRestarting = false }: { name: ReactNode; purpose: string; since?: string | null | undefined; restarts: number; waiting?: ReactNode; isRestarting?: boolean }) {
  return (
    <div className={ROW}>
      <span className="grid min-w-0 items-center gap-x-3 md:grid-cols-[9.5rem_minmax(0,1fr)]">
        <span className="flex items-center gap-x-2 whitespace-nowrap font-mono text-sm font-medium">{name}</span>
        <span className="flex min-w-0 flex-wrap items-center gap-x-2 text-sm text-muted">{isRestarting && <State state="restarting" />}{purpose}</span>
      </span>
      <span className="text-right text-sm">{waiting}</span>
      <Restarts count={restarts} />
      <span className="hidden text-right text-sm text-muted sm:block">{since && <Time at={since} />}</span>
    </div>
  );
}

function Restarts({ count: restarts }: { count: number }) {
  return (
    <span className={cx("text-right text-sm", restarts > 0 ? "font-medium text-busy" : "text-muted")}>
      {exact(restarts)}<span className="sr-only"> restarts</span>
    </span>
  );
}

/** What waits before an actor; a bar where there is a bound. */
function Queue({ queue }: { queue: NonNullable<Actor["waiting"]> }) {
  const { count: waiting, most, of } = queue;
  const unit = waiting === 1 ? of.replace(/s$/, "") : of;
  return (
    <span title={most ? `${exact(waiting)} of at most ${exact(most)} ${of}` : `${exact(waiting)} ${of}`} className="inline-flex items-center justify-end gap-2">
      {most !== null && most !== undefined && (
        <span aria-hidden="true" className="hidden h-1 w-6 overflow-hidden rounded-sm bg-sunken sm:block">
          <span className={cx("block h-full", waiting / most >= 0.75 ? "bg-busy-mark" : "bg-good-mark")} style={{ width: `${Math.min(100, (waiting / most) * 100)}%` }} />
        </span>
      )}
      <span className={waiting === 0 ? "text-muted" : ""}>{count(waiting)} <span className="text-muted">{unit}</span></span>
    </span>
  );
}
