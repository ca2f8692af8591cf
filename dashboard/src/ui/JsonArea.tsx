import { Button } from "./Button";
import { Field, TextArea } from "./Field";
import { jsonFault, prettyJson } from "./json";
import type { ReactNode } from "react";

/** JSON that is written by hand: says where it is none while one types, and lays it out on demand. */
export function JsonArea({ label, hint, value, onChange, fault, rows = 14, placeholder, actions, readOnly = false }: {
  label: string; hint?: ReactNode; value: string; onChange: (value: string) => void; fault?: string | undefined; rows?: number; placeholder?: string; actions?: ReactNode; readOnly?: boolean;
}) {
  const broken = value.trim() === "" ? undefined : jsonFault(value);
  return (
    <div className="min-w-0">
      <Field label={label} optional hint={hint} fault={broken ?? fault}>
        <TextArea mono rows={rows} spellCheck={false} autoComplete="off" wrap="off" value={value} readOnly={readOnly} placeholder={placeholder} onChange={(event) => onChange(event.target.value)} className="overflow-x-auto" />
      </Field>
      {!readOnly && (
        <div className="mt-1 flex flex-wrap gap-2">
          <Button kind="quiet" barred={value.trim() === "" ? "There is nothing yet" : broken && "It is no JSON yet"} onClick={() => onChange(prettyJson(value) ?? value)}>Lay it out</Button>
          {actions}
        </div>
      )}
    </div>
  );
}
