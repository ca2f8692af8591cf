import { cx } from "./class-names";
import { Icon, type IconName } from "./Icon";
import { Hint } from "./Tooltip";
import type { ButtonHTMLAttributes, Ref } from "react";

type Kind = "primary" | "plain" | "quiet" | "danger";

const KINDS: Record<Kind, string> = {
  primary: "bg-accent text-accent-text border-transparent hover:brightness-110",
  plain: "bg-panel text-text border-edge/60 hover:bg-sunken",
  quiet: "border-transparent text-muted hover:text-text hover:bg-sunken",
  danger: "bg-panel text-bad border-bad/50 hover:bg-bad-soft",
};

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: Kind;
  icon?: IconName;
  /** An icon alone; `children` becomes its label and its hint. */
  bare?: boolean;
  busy?: boolean;
  /** Without the hint, where the picture says enough and the place is narrow. */
  unhinted?: boolean;
  /** Why it cannot be used. It stays reachable by keyboard, so that the reason can be read. */
  barred?: string | false | undefined;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ kind = "plain", icon, bare = false, busy = false, unhinted = false, barred, className, children, onClick, type = "button", ...rest }: ButtonProps) {
  const off = Boolean(barred) || busy;
  const button = (
    <button
      type={type}
      aria-disabled={off || undefined}
      aria-busy={busy || undefined}
      {...(bare && typeof children === "string" ? { "aria-label": children } : {})}
      {...rest}
      onClick={(event) => {
        if (off) event.preventDefault();
        else onClick?.(event);
      }}
      className={cx(
        "inline-flex h-7 items-center justify-center gap-1.5 whitespace-nowrap rounded border text-base font-medium",
        "disabled:opacity-50 aria-disabled:cursor-not-allowed aria-disabled:opacity-55",
        bare ? "w-7 shrink-0 px-0" : "px-2.5",
        KINDS[kind],
        className,
      )}
    >
      {icon && <Icon name={icon} size={14} className={busy ? "breathe" : ""} />}
      {!bare && children}
    </button>
  );
  const hint = barred || (bare && !unhinted && typeof children === "string" ? children : "");
  return hint ? <Hint text={hint}>{button}</Hint> : button;
}
