import { cloneElement, useId, type InputHTMLAttributes, type ReactElement, type ReactNode, type Ref, type SelectHTMLAttributes, type TextareaHTMLAttributes } from "react";
import { Switch as RadixSwitch } from "radix-ui";
import { cx } from "./class-names";
import { Icon } from "./Icon";

interface Control {
  id?: string;
  "aria-describedby"?: string | undefined;
  "aria-invalid"?: boolean | undefined;
}

/** A control under its label, with what it is for, or with what is wrong. */
export function Field({ label, hint, fault, children, optional = false }: {
  label: ReactNode; hint?: ReactNode; fault?: string | undefined; children: ReactElement<Control>; optional?: boolean;
}) {
  const own = useId();
  const id = children.props.id ?? own;
  const note = `${id}-note`;
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1 flex items-baseline gap-2 text-sm font-medium">
        <span>{label}</span>
        {optional && <span className="font-normal text-muted">optional</span>}
      </label>
      {cloneElement(children, { id, "aria-describedby": hint || fault ? note : undefined, "aria-invalid": fault ? true : undefined })}
      {(fault || hint) && (
        <p id={note} role={fault ? "alert" : undefined} className={cx("mt-1 flex gap-1 text-sm", fault ? "text-bad" : "text-muted")}>
          {fault && <Icon name="warning" size={13} className="mt-0.5" />}
          <span className="min-w-0">{fault ?? hint}</span>
        </p>
      )}
    </div>
  );
}

const BOX = "w-full min-w-0 rounded border border-edge/70 bg-panel text-base text-text hover:border-edge aria-invalid:border-bad disabled:opacity-60";

/** As wide as what it stands in. */
export function Input({ className, mono = false, ...rest }: InputHTMLAttributes<HTMLInputElement> & { mono?: boolean; ref?: Ref<HTMLInputElement> }) {
  return <input className={cx(BOX, "h-7 px-2", mono && "font-mono text-sm", className)} {...rest} />;
}

export function TextArea({ className, mono = false, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement> & { mono?: boolean; ref?: Ref<HTMLTextAreaElement> }) {
  return <textarea className={cx(BOX, "px-2 py-1.5", mono && "font-mono text-sm", className)} {...rest} />;
}

/** The system's own list: it is the best one on a phone, and with a screen reader. */
export function Select({ className, children, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <span className={cx("relative inline-flex min-w-0", className)}>
      <select className={cx(BOX, "h-7 appearance-none truncate pl-2 pr-7")} {...rest}>{children}</select>
      <Icon name="down" size={13} className="pointer-events-none absolute right-2 top-1/2 -translate-y-1/2 text-muted" />
    </span>
  );
}

export function Switch({ on, onChange, label, disabled = false }: { on: boolean; onChange: (on: boolean) => void; label: string; disabled?: boolean }) {
  const id = useId();
  return (
    <span className="inline-flex min-h-6 items-center gap-2">
      <RadixSwitch.Root
        id={id} checked={on} onCheckedChange={onChange} disabled={disabled}
        className="relative h-4.5 w-8 shrink-0 rounded-full border border-edge bg-sunken transition-colors data-[state=checked]:border-accent data-[state=checked]:bg-accent disabled:opacity-50"
      >
        <RadixSwitch.Thumb className="block size-3 translate-x-0.5 rounded-full bg-edge transition-transform data-[state=checked]:translate-x-4 data-[state=checked]:bg-accent-text" />
      </RadixSwitch.Root>
      <label htmlFor={id}>{label}</label>
    </span>
  );
}
