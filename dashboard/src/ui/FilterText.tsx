import { Input } from "./Field";

/** A text that counts once one has finished typing: on Enter, or on leaving. Give it its value as `key`. */
export function FilterText({ value, onChange, label, placeholder, className, type = "text", mono = false, list }: {
  value: string | undefined; onChange: (value: string | undefined) => void; label: string; placeholder: string; className?: string; type?: "text" | "search"; mono?: boolean; list?: string;
}) {
  const take = (text: string) => {
    const next = text.trim() || undefined;
    if (next !== value) onChange(next);
  };
  return (
    <div className={className}>
      <Input
        type={type} aria-label={label} placeholder={placeholder} defaultValue={value} spellCheck={false} autoComplete="off" mono={mono} list={list}
        onBlur={(event) => take(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") take(event.currentTarget.value);
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </div>
  );
}
