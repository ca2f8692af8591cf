import { useBeats, useStanding } from "../../live/Live";
import { STEP } from "../../live/lately";
import { Beats } from "../../ui/Beats";
import { duration } from "../../ui/format";
import { Panel } from "../../ui/Panel";
import { OUTCOMES } from "./outcomes";

/** Attempts as they are made, of one subscription or of all: the first two minutes of a story are seen here, and nowhere else. */
export function MomentsPanel({ subscription }: { subscription?: string }) {
  const beats = useBeats(subscription);
  const standing = useStanding();
  return (
    <Panel title="The last two minutes" aside={<span className="text-sm text-muted">{standing === "live" ? `attempts, by ${duration(STEP).replace(".0 s", " s")}` : "shown while the page is live"}</span>}>
      <Beats label="Attempts of the last two minutes" beats={beats} groups={OUTCOMES} />
    </Panel>
  );
}
