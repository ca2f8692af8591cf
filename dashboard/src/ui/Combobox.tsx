import { Popover } from "radix-ui";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { cx } from "./class-names";
import { Input } from "./Field";

export interface Option {
  value: string;
  label?: string;
  note?: string;
}

const MOST_SHOWN = 50;
const NONE = -1;

/**
 * A text with suggestions: any text may be given, unless `strict`. Enter takes what is marked, or what was
 * typed, and only where there is nothing to take does it send the form around.
 */
export function Combobox({ value, onChange, options, placeholder, label, strict = false, mono = false, id, ...described }: {
  value: string; onChange: (value: string) => void; options: readonly Option[]; placeholder?: string; label?: string; strict?: boolean; mono?: boolean;
  id?: string; "aria-describedby"?: string | undefined; "aria-invalid"?: boolean | undefined;
}) {
  const list = useId();
  const box = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState<string>();
  const [moved, setMoved] = useState(NONE);
  const chosen = options.find((option) => option.value === value);
  const text = typed ?? chosen?.label ?? value;
  const needle = (typed ?? "").trim().toLowerCase();
  const shown = options
    .filter((option) => `${option.label ?? ""} ${option.value}`.toLowerCase().includes(needle))
    .slice(0, MOST_SHOWN);
  // Where only what is listed may be given, typing looks for it; elsewhere it says it.
  const at = moved !== NONE ? Math.min(moved, shown.length - 1) : strict && needle ? 0 : NONE;
  const isOpen = open && shown.length > 0;
  useEffect(() => {
    if (isOpen) box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, isOpen]);
  const choose = (next: string) => {
    setTyped(undefined);
    setMoved(NONE);
    setOpen(false);
    onChange(next);
  };
  const leave = () => {
    setMoved(NONE);
    setOpen(false);
    if (typed === undefined) return;
    const exactly = options.find((option) => (option.label ?? option.value) === typed.trim());
    if (exactly || !strict || typed.trim() === "") choose(exactly?.value ?? typed.trim());
    else setTyped(undefined);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // It belongs to what is being composed of several keys.
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setMoved(shown.length === 0 ? NONE : at === NONE ? (step > 0 ? 0 : shown.length - 1) : (at + step + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      const option = isOpen ? shown[at] : undefined;
      if (option || typed !== undefined) event.preventDefault();
      if (option) choose(option.value);
      else leave();
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      setOpen(false);
    }
  };
  return (
    <Popover.Root open={isOpen} onOpenChange={setOpen}>
      <Popover.Anchor asChild>
        <div className="min-w-0">
          <Input
            {...described} {...(id ? { id } : {})} {...(label ? { "aria-label": label } : {})}
            role="combobox" aria-expanded={isOpen} aria-controls={list} aria-autocomplete="list"
            aria-activedescendant={isOpen && shown[at] ? `${list}-${at}` : undefined}
            autoComplete="off" spellCheck={false} mono={mono} placeholder={placeholder} value={text}
            onFocus={(event) => event.target.select()}
            onClick={() => setOpen(true)}
            onChange={(event) => {
              setTyped(event.target.value);
              setMoved(NONE);
              setOpen(true);
            }}
            onKeyDown={onKeyDown}
            onBlur={leave}
          />
        </div>
      </Popover.Anchor>
      <Popover.Portal>
        <Popover.Content
          ref={box} aria-label={label ?? "Suggestions"} align="start" sideOffset={3} onOpenAutoFocus={(event) => event.preventDefault()} onCloseAutoFocus={(event) => event.preventDefault()}
          className="z-50 max-h-72 min-w-(--radix-popover-trigger-width) max-w-96 overflow-y-auto rounded-md border bg-raised p-1 shadow-pop"
        >
          <div id={list} role="listbox" aria-label={label ?? "Suggestions"}>
            {shown.map((option, index) => (
              // The input keeps the focus and its keys choose; the pointer does here.
              // eslint-disable-next-line jsx-a11y/click-events-have-key-events
              <div
                key={option.value} id={`${list}-${index}`} role="option" aria-selected={index === at} tabIndex={-1}
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => choose(option.value)}
                onPointerMove={() => setMoved(index)}
                className={cx("flex min-h-6 cursor-pointer items-center justify-between gap-4 rounded px-2 py-0.5", index === at && "bg-accent-soft", mono && "font-mono text-sm")}
              >
                <span className="truncate">{option.label ?? option.value}</span>
                {option.note && <span className="shrink-0 font-sans text-sm text-muted">{option.note}</span>}
              </div>
            ))}
          </div>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
