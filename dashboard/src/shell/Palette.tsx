import { useNavigate, type LinkProps } from "@tanstack/react-router";
import { Dialog as Radix } from "radix-ui";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { allows, useSession } from "../api/session";
import { cx } from "../ui/class-names";
import { keepForToasts } from "../ui/Dialog";
import { Icon, type IconName } from "../ui/Icon";
import { useReturnedFocus } from "../ui/returned-focus";
import { chooseTheme } from "../ui/theme";
import { ACTIONS, maySee, PLACES } from "./places";

interface Command {
  name: string;
  icon: IconName;
  keys?: string;
  run: () => void;
}

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** As this keyboard has them. */
export const PALETTE_KEYS = /Mac|iP(hone|ad)/.test(navigator.userAgent) ? "⌘ K" : "Ctrl K";

/** Every place and action by its name; an id that is pasted leads to the event or the delivery. */
export function Palette({ open, onClose, onHelp }: { open: boolean; onClose: () => void; onHelp: () => void }) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/40 dark:bg-black/60" />
        <Radix.Content aria-describedby={undefined} onInteractOutside={keepForToasts} className="appear fixed left-1/2 top-[12vh] z-40 w-[calc(100vw-1.5rem)] max-w-lg -translate-x-1/2 overflow-hidden rounded-lg border bg-raised shadow-pop">
          <Radix.Title className="sr-only">Go to, or do</Radix.Title>
          <Inner onClose={onClose} onHelp={onHelp} />
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Inner({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const navigate = useNavigate();
  const session = useSession();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  useReturnedFocus();
  const go = (link: LinkProps) => () => void navigate(link);
  const seen = (place: Parameters<typeof maySee>[1]) => maySee(session, place);
  const needle = text.trim().toLowerCase();
  const commands: Command[] = [
    ...PLACES.filter(seen).map((place): Command => ({ name: place.name, icon: place.icon, ...(place.key ? { keys: `g ${place.key}` } : {}), run: go({ to: place.to }) })),
    ...ACTIONS.filter(seen).map((action): Command => ({ name: action.name, icon: action.icon, run: go({ to: action.to }) })),
    { name: "Use the dark theme", icon: "moon", run: () => chooseTheme("dark") },
    { name: "Use the light theme", icon: "sun", run: () => chooseTheme("light") },
    { name: "Follow the system's theme", icon: "screen", run: () => chooseTheme("system") },
    { name: "Show keyboard shortcuts", icon: "book", keys: "?", run: onHelp },
  ];
  const matching = commands.filter((command) => command.name.toLowerCase().includes(needle));
  const shown: Command[] = !needle ? commands : [
    ...(ID.test(needle) && allows(session, "events:read") ? [{ name: "Open the event with this id", icon: "events" as const, run: go({ to: "/events/$id", params: { id: needle } }) }] : []),
    ...(ID.test(needle) && allows(session, "deliveries:read") ? [{ name: "Open the delivery with this id", icon: "deliveries" as const, run: go({ to: "/deliveries/$id", params: { id: needle } }) }] : []),
    ...matching,
    ...(allows(session, "events:read") ? [{ name: `Search events for “${text.trim()}”`, icon: "search" as const, run: go({ to: "/events", search: { q: text.trim() } }) }] : []),
    ...(allows(session, "deliveries:read") ? [{ name: `Search deliveries for “${text.trim()}”`, icon: "search" as const, run: go({ to: "/deliveries", search: { q: text.trim() } }) }] : []),
  ];
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt((now) => (now + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % Math.max(1, shown.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[at]);
    }
  };
  return (
    <>
      <div className="flex items-center gap-2 border-b px-3">
        <Icon name="search" className="text-muted" />
        <input
          // The palette is opened to type.
          // eslint-disable-next-line jsx-a11y/no-autofocus
          autoFocus value={text} placeholder="Go to, search, or paste an id"
          role="combobox" aria-label="Command" aria-expanded="true" aria-controls="palette" aria-activedescendant={shown[at] ? `palette-${at}` : undefined}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
          className="h-11 min-w-0 flex-1 bg-transparent text-lg outline-none"
        />
      </div>
      <div ref={list} id="palette" role="listbox" aria-label="Commands" className="max-h-80 overflow-y-auto p-1.5">
        {shown.map((command, index) => (
          // The input keeps the focus and its keys choose; the pointer does here.
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={command.name} id={`palette-${index}`} role="option" aria-selected={index === at} tabIndex={-1}
            onPointerMove={() => setAt(index)} onPointerDown={(event) => event.preventDefault()} onClick={() => run(command)}
            className={cx("flex h-8 cursor-pointer items-center gap-2.5 rounded px-2", index === at && "bg-accent-soft")}
          >
            <Icon name={command.icon} size={15} className="text-muted" />
            <span className="min-w-0 flex-1 truncate">{command.name}</span>
            {command.keys && <Keys keys={command.keys} />}
          </div>
        ))}
        {shown.length === 0 && <div role="option" aria-selected="false" tabIndex={-1} className="px-2 py-1.5 text-muted">Nothing has that name.</div>}
      </div>
    </>
  );
}

/** Keys that are pressed one after the other. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span className="flex gap-1">
      {keys.split(" ").map((key) => <kbd key={key} className="min-w-5 rounded border bg-sunken px-1 text-center font-mono text-xs text-muted">{key}</kbd>)}
    </span>
  );
}
