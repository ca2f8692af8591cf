import { useSession } from "../api/session";
import { Dialog } from "../ui/Dialog";
import { Keys, PALETTE_KEYS } from "./Palette";
import { maySee, PLACES } from "./places";

const COMMON: readonly [string, string][] = [
  ["/", "Search this page"],
  [PALETTE_KEYS, "Go to, or do"],
  ["↑ ↓", "Move between rows"],
  ["↵", "Open the row"],
  ["Space", "Select the row, where there are boxes"],
  ["⇧ ↓", "Select on from there"],
  ["?", "Show this"],
];

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  const session = useSession();
  const rows = [...COMMON, ...PLACES.flatMap((place): [string, string][] => (place.key && maySee(session, place) ? [[`g ${place.key}`, `Go to ${place.name}`]] : []))];
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard">
      <dl className="grid gap-x-8 sm:grid-cols-2">
        {rows.map(([keys, what]) => (
          <div key={keys} className="flex h-8 items-center justify-between gap-4 border-b">
            <dt>{what}</dt>
            <dd><Keys keys={keys} /></dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
