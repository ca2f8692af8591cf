import { SubscriptionName } from "../../entities/SubscriptionName";
import { useSubscriptions } from "../../entities/subscriptions";
import { useLines, useStanding } from "../../live/Live";
import type { Line } from "../../live/lately";
import { cx } from "../../ui/class-names";
import { Icon } from "../../ui/Icon";
import { Panel } from "../../ui/Panel";
import { TONES } from "../../ui/states";
import { Time } from "../../ui/Time";
import { told } from "./story";

/** What happens to subscriptions, or to one, told as it happens: why, and what comes next. */
export function StoryPanel({ subscription }: { subscription?: string }) {
  const all = useLines();
  const lines = subscription === undefined ? all : all.filter((line) => line.subscriptionId === subscription);
  const standing = useStanding();
  const names = useSubscriptions();
  return (
    <Panel title="What happens" flush aside={lines.length > 0 && <span className="text-sm text-muted">since you opened this</span>}>
      {/* Of one height once something has happened, so that nothing under it moves. It scrolls, so it has to be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div tabIndex={0} role="region" aria-label="One after the other" className={cx("overflow-y-auto -outline-offset-2", lines.length === 0 ? "h-22" : subscription === undefined ? "h-64" : "h-36")}>
        {lines.length === 0 ? (
          <p className="px-3 py-2.5 text-muted">{standing === "live" ? "Nothing out of the ordinary since you opened this. Failures, retries and recoveries show up here as they happen." : "It is told while the page is live."}</p>
        ) : (
          <ol className="divide-y">{lines.map((line) => <Entry key={line.key} line={line} {...(subscription === undefined ? { name: names.get(line.subscriptionId)?.name ?? null } : {})} />)}</ol>
        )}
      </div>
    </Panel>
  );
}

/** Without a name on the page of the subscription itself; null where it is not known. */
function Entry({ line, name }: { line: Line; name?: string | null }) {
  const { tone, icon, head, text } = told(line);
  return (
    <li className="arrive flex gap-2 px-3 py-1.5">
      <Icon name={icon} size={14} className={cx("mt-0.5", TONES[tone].text)} />
      <div className="min-w-0 flex-1">
        <p className="flex items-baseline justify-between gap-3">
          <span className="min-w-0 truncate">{name !== undefined && <><SubscriptionName id={line.subscriptionId} name={name} /> </>}<span className={cx("font-medium", name === undefined && "inline-block first-letter:uppercase", TONES[tone].text)}>{head}</span></span>
          <span className="shrink-0 text-sm tabular-nums text-muted"><Time at={new Date(line.at).toISOString()} /></span>
        </p>
        <p className="text-sm text-muted">{text}</p>
      </div>
    </li>
  );
}
