import { Popover } from "radix-ui";
import { useId, useState, type KeyboardEvent } from "react";
import { cx } from "./class-names";
import { Input } from "./Field";

export interface Option {
  value: string;
  label?: string;
  note?: string;
}

const MOST_SHOWN = 50;

/** A text with suggestions: any text may be given, unless `strict`. */
export function Combobox({ value, onChange, options, placeholder, label, strict = false, mono = false, id, ...described }: {
  value: string; onChange: (value: string) => void; options: readonly Option[]; placeholder?: string; label?: string; strict?: boolean; mono?: boolean;
  id?: string; "aria-describedby"?: string | undefined; "aria-invalid"?: boolean | undefined;
}) {
  const list = useId();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState<string>();
  const [at, setAt] = useState(0);
  const chosen = options.find((option) => option.value === value);
  const text = typed ?? chosen?.label ?? value;
  const needle = (typed ?? "").trim().toLowerCase();
  const shown = options
    .filter((option) => `${option.label ?? ""} ${option.value}`.toLowerCase().includes(needle))
    .slice(0, MOST_SHOWN);
  const choose = (next: string) => {
    setTyped(undefined);
    setOpen(false);
    onChange(next);
  };
  const leave = () => {
    if (typed === undefined) return;
    const exactly = options.find((option) => (option.label ?? option.value) === typed.trim());
    if (exactly || !strict || typed.trim() === "") choose(exactly?.value ?? typed.trim());
    else setTyped(undefined);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt((now) => (shown.length === 0 ? 0 : (now + step + shown.length) % shown.length));
    } else if (event.key === "Enter") {
      const option = open ? shown[at] : undefined;
      if (option) event.preventDefault();
      if (option && (needle || typed === undefined)) choose(option.value);
      else leave();
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      setOpen(false);
    }
  };
  return (
    <Popover.Root open={open && shown.length > 0} onOpenChange={setOpen}>
      <Popover.Anchor asChild>
        <div className="min-w-0">
          <Input
            {...described} {...(id ? { id } : {})} {...(label ? { "aria-label": label } : {})}
            role="combobox" aria-expanded={open && shown.length > 0} aria-controls={list} aria-autocomplete="list"
            aria-activedescendant={open && shown[at] ? `${list}-${at}` : undefined}
            autoComplete="off" spellCheck={false} mono={mono} placeholder={placeholder} value={text}
            onFocus={(event) => event.target.select()}
            onClick={() => setOpen(true)}
            onChange={(event) => {
              setTyped(event.target.value);
              setAt(0);
              setOpen(true);
            }}
            onKeyDown={onKeyDown}
            onBlur={() => {
              setOpen(false);
              leave();
            }}
          />
        </div>
      </Popover.Anchor>
      <Popover.Portal>
        <Popover.Content
          align="start" sideOffset={3} onOpenAutoFocus={(event) => event.preventDefault()} onCloseAutoFocus={(event) => event.preventDefault()}
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
                onPointerMove={() => setAt(index)}
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
