import { useId, type ReactNode } from "react";

/** Yes or no, with its words beside it. */
export function CheckField({ on, onChange, label, note, disabled = false }: { on: boolean; onChange: (on: boolean) => void; label: ReactNode; note?: ReactNode; disabled?: boolean }) {
  const id = useId();
  return (
    <span className="flex min-h-6 items-start gap-2">
      <input
        id={id} type="checkbox" checked={on} disabled={disabled} onChange={(event) => onChange(event.target.checked)} {...(note ? { "aria-describedby": `${id}-note` } : {})}
        className="mt-1 size-3.5 shrink-0 accent-accent"
      />
      <span className="min-w-0 py-0.5">
        <label htmlFor={id} className={disabled ? "text-muted" : undefined}>{label}</label>
        {note && <span id={`${id}-note`} className="ml-2 text-sm text-muted">{note}</span>}
      </span>
    </span>
  );
}
