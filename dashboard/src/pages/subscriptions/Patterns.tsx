import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { Button } from "../../ui/Button";
import { Combobox } from "../../ui/Combobox";
import { cx } from "../../ui/class-names";
import { Icon } from "../../ui/Icon";
import { allows, useSession } from "../../api/session";
import { eventTypesQuery } from "../events/queries";
import { patternFault, patternMatches } from "./draft";

/** Which event types are wanted: names from the catalogue and of late, and patterns of them. */
export function Patterns({ value, onChange, fault, faultOf }: { value: readonly string[]; onChange: (value: readonly string[]) => void; fault: string | undefined; faultOf: (index: number) => string | undefined }) {
  const note = useId();
  const [wrong, setWrong] = useState<string>();
  const known = useQuery({ ...eventTypesQuery, enabled: allows(useSession(), "events:read") }).data ?? [];
  const options = suggestions(known.map((type) => type.name)).filter((one) => !value.includes(one)).map((one) => ({ value: one, note: reach(one, known.map((type) => type.name)) }));
  const add = (typed: string) => {
    const given = typed.split(/[\s,]+/).filter(Boolean);
    const bad = given.find(patternFault);
    setWrong(bad && `“${bad}” ${patternFault(bad) ?? ""}`);
    const good = given.filter((one) => !patternFault(one));
    if (good.length > 0) onChange([...new Set([...value, ...good])]);
  };
  const says = wrong ?? fault;
  return (
    <div className="min-w-0">
      <p className="mb-1 text-sm font-medium" id={`${note}-label`}>Event types</p>
      {value.length > 0 && (
        <ul aria-labelledby={`${note}-label`} className="mb-1.5 flex flex-wrap gap-1.5">
          {value.map((pattern, index) => {
            const bad = faultOf(index);
            return (
              <li key={pattern} className={cx("flex max-w-full items-center gap-0.5 rounded border pl-2", bad ? "border-bad text-bad" : "bg-quiet-soft")}>
                <span className="truncate font-mono text-sm" title={bad ?? `matches ${reach(pattern, known.map((type) => type.name))}`}>{pattern}</span>
                <Button kind="quiet" icon="cross" bare unhinted className="!h-6 !w-6" onClick={() => onChange(value.filter((one) => one !== pattern))}>{`Take ${pattern} away`}</Button>
              </li>
            );
          })}
        </ul>
      )}
      {/* Enter adds what was typed; it does not send the form. */}
      <div role="presentation" onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}>
      <Combobox label="Add an event type or a pattern" mono placeholder={value.length === 0 ? "order.created, order.* or * for all" : "Add another"} value="" onChange={(typed) => typed && add(typed)} options={options} aria-describedby={note} aria-invalid={says ? true : undefined} />
      </div>
      <p id={note} role={says ? "alert" : undefined} className={cx("mt-1 flex gap-1 text-sm", says ? "text-bad" : "text-muted")}>
        {says ? <><Icon name="warning" size={13} className="mt-0.5" />{says}</> : "A * stands for one segment, as the last one for one or more; alone for everything."}
      </p>
    </div>
  );
}

/** Types that are known, before them the patterns that gather several of them. */
function suggestions(names: readonly string[]): string[] {
  const families = new Map<string, number>();
  for (const name of names) {
    const first = name.split(".")[0];
    if (first && name.includes(".")) families.set(first, (families.get(first) ?? 0) + 1);
  }
  return ["*", ...[...families].filter(([, size]) => size > 1).map(([family]) => `${family}.*`), ...names];
}

function reach(pattern: string, names: readonly string[]): string {
  if (!pattern.includes("*")) return "";
  const found = names.filter((name) => patternMatches(pattern, name)).length;
  return found === 1 ? "1 known type" : `${found} known types`;
}
