import { useSession } from "../api/session";
import { useReach } from "../live/Live";
import { Button } from "../ui/Button";
import { cx } from "../ui/class-names";
import { Notice } from "../ui/Feedback";
import { Icon } from "../ui/Icon";
import { Time } from "../ui/Time";
import { troubleOf } from "./trouble";
import { useUpdated } from "./version";

/** Over every page while the relay is away or not well, or once it has been updated. Screen readers hear it when it comes. */
export function Outage() {
  const reach = useReach();
  const { tenant } = useSession();
  const trouble = troubleOf(reach);
  const updated = useUpdated();
  return (
    <div role="status" className="contents">
      {!trouble && updated && (
        <div className="mb-3">
          <Notice tone="quiet" icon="retry" actions={<Button onClick={() => window.location.reload()}>Reload</Button>}>The relay was updated. Reload the page to get the dashboard that belongs to it.</Notice>
        </div>
      )}
      {trouble && (
        <div className={cx("sticky top-0 z-10 mb-3 flex gap-2 rounded px-3 py-2 max-md:top-12", trouble.tone === "bad" ? "bg-bad-soft text-bad" : "bg-busy-soft text-busy")}>
          <Icon name="warning" size={15} className="mt-0.5 shrink-0" />
          <p className="min-w-0">
            <strong className="font-semibold">{trouble.what}</strong>
            {reach.awaySince !== undefined && <> (since <Time clock at={new Date(reach.awaySince).toISOString()} />)</>}
            {" "}{trouble.means}
            {tenant === null && trouble.todo && <> {trouble.todo}</>}
            {tenant === null && trouble.detail && <span className="block break-words text-sm">{trouble.detail}</span>}
          </p>
        </div>
      )}
    </div>
  );
}
