import { useEffect, useRef, type MouseEvent } from "react";

/** The browser's own, in our colour; its target is larger than it looks. */
export function Checkbox({ checked, some = false, onChange, label, tabIndex }: {
  checked: boolean;
  /** Neither all nor none. */
  some?: boolean;
  onChange: (checked: boolean, event: MouseEvent<HTMLInputElement>) => void;
  label: string;
  tabIndex?: number;
}) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = some && !checked;
  }, [some, checked]);
  return (
    <label className="flex size-6 cursor-pointer items-center justify-center">
      <input
        ref={box} type="checkbox" aria-label={label} checked={checked} tabIndex={tabIndex}
        // Shift is known to clicks alone, and the keyboard clicks too.
        onClick={(event) => onChange(event.currentTarget.checked, event)}
        onChange={() => undefined}
        className="size-3.5 cursor-pointer accent-(--accent)"
      />
    </label>
  );
}
