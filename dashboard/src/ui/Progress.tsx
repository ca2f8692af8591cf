import { cx } from "./class-names";
import { TONES, type Tone } from "./states";

/** How far something is, 0 to 1. Numbers beside it say the same. */
export function Progress({ value, label, tone = "probing" }: { value: number; label: string; tone?: Tone }) {
  const share = Math.min(1, Math.max(0, value));
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(share * 100)} className="mt-1 h-1.5 overflow-hidden rounded-sm bg-quiet-soft">
      <div style={{ width: `${share * 100}%` }} className={cx("h-full transition-[width] duration-300", TONES[tone].mark)} />
    </div>
  );
}
