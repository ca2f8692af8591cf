import { useEffect, useRef } from "react";
import { Input } from "./Field";

/** A text that counts once one has finished typing: on Enter, or on leaving. */
export function TextFilter({ value, onChange, label, placeholder, className, type = "text", mono = false }: {
  value: string | undefined; onChange: (value: string | undefined) => void; label: string; placeholder: string; className?: string; type?: "text" | "search"; mono?: boolean;
}) {
  const box = useRef<HTMLInputElement>(null);
  // The URL may change without it, as by the browser's back.
  useEffect(() => {
    if (box.current && document.activeElement !== box.current) box.current.value = value ?? "";
  }, [value]);
  const take = (text: string) => {
    const next = text.trim() || undefined;
    if (next !== value) onChange(next);
  };
  return (
    <div className={className}>
      <Input
        ref={box} type={type} mono={mono} aria-label={label} placeholder={placeholder} defaultValue={value} spellCheck={false} autoComplete="off"
        onBlur={(event) => take(event.target.value)}
        // The cross that the browser draws into searches.
        onInput={(event) => type === "search" && event.currentTarget.value === "" && take("")}
        onKeyDown={(event) => {
          if (event.key === "Enter") take(event.currentTarget.value);
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </div>
  );
}
