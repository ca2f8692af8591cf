import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { allows, useSession } from "../../api/session";
import { subscriptionHeadsQuery } from "../../entities/subscriptions";
import { Button } from "../../ui/Button";
import { Combobox } from "../../ui/Combobox";
import { Input, Select } from "../../ui/Field";
import { count, exactTime, localText, shortId } from "../../ui/format";
import { lookOf } from "../../ui/states";
import { TextFilter } from "../../ui/TextFilter";
import { eventTypesQuery } from "../events/queries";
import { ANSWERS, FAILURES, isId, STATES, WITHIN, type DeliveriesSearch } from "./search";

export type Change = (changed: { [Name in keyof DeliveriesSearch]?: string | undefined }) => void;

const FAILURE_NAMES: Record<(typeof FAILURES)[number], string> = {
  timeout: "Timeout", name: "Name not found", connect: "No connection", tls: "TLS", reset: "Connection broke", protocol: "No valid HTTP",
  address_refused: "Address refused", request: "Bad request", internal: "Inside the relay",
};

/** What is looked for. All of it stands in the URL. */
export function Filters({ search, onChange }: { search: DeliveriesSearch; onChange: Change }) {
  const session = useSession();
  const types = useQuery({ ...eventTypesQuery, enabled: allows(session, "events:read") });
  const heads = useQuery({ ...subscriptionHeadsQuery, enabled: allows(session, "subscriptions:read") });
  const typeOptions = (types.data ?? []).map((type) => ({ value: type.name, ...(type.count > 0 ? { note: count(type.count) } : {}) }));
  const subscriptionOptions = (heads.data ?? []).map((one) => ({ value: one.id, label: one.name, ...(one.state === "active" ? {} : { note: lookOf(one.state).word }) }));
  const [isRange, setRange] = useState(search.since !== undefined || search.until !== undefined);
  // A phone shows the text alone until the others are asked for.
  const [isOpen, setOpen] = useState(false);
  const others = Object.keys(search).length - (search.q === undefined ? 0 : 1);
  const narrow = "min-w-[calc(50%-0.25rem)] flex-1 sm:min-w-0 sm:flex-none";
  return (
    <search className="mb-2 flex flex-wrap gap-2" aria-label="Deliveries">
      <TextFilter label="Search deliveries" type="search" placeholder="Words, an id, payload.orderId=7" value={search.q} onChange={(q) => onChange({ q })} className="min-w-0 flex-1 sm:min-w-60" />
      <Button icon="filter" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} className="sm:hidden">Filters{others > 0 && ` · ${others}`}</Button>
      <div className={isOpen ? "flex w-full flex-wrap gap-2 sm:contents" : "hidden sm:contents"}>
      <Select aria-label="State" value={search.status ?? ""} onChange={(event) => onChange({ status: event.target.value })} className={`w-28 ${narrow}`}>
        <option value="">Any state</option>
        {STATES.map((state) => <option key={state} value={state}>{lookOf(state).word}</option>)}
      </Select>
      <Select aria-label="Last answer" value={search.statusClass ?? ""} onChange={(event) => onChange({ statusClass: event.target.value })} className={`w-32 ${narrow}`}>
        <option value="">Any answer</option>
        <optgroup label="Answered">{ANSWERS.map((one) => <option key={one} value={one}>{one}</option>)}</optgroup>
        <optgroup label="No answer">{FAILURES.map((one) => <option key={one} value={one}>{FAILURE_NAMES[one]}</option>)}</optgroup>
        <option value="none">No attempt yet</option>
      </Select>
      {subscriptionOptions.length > 0 && (
        <div className={`w-40 ${narrow}`}>
          <Combobox
            label="Subscription" placeholder="Any subscription" strict
            // One that is deleted, or is not among the first thousand, is named by its id.
            options={search.subscriptionId && !subscriptionOptions.some((one) => one.value === search.subscriptionId) ? [...subscriptionOptions, { value: search.subscriptionId, label: shortId(search.subscriptionId) }] : subscriptionOptions}
            value={search.subscriptionId ?? ""} onChange={(subscriptionId) => onChange({ subscriptionId })}
          />
        </div>
      )}
      <div className={`w-40 ${narrow}`}><Combobox label="Event type" placeholder="Any type" mono options={typeOptions} value={search.eventType ?? ""} onChange={(eventType) => onChange({ eventType })} /></div>
      {session.tenant === null && <TextFilter label="Tenant" placeholder="Any tenant" value={search.tenant} onChange={(tenant) => onChange({ tenant })} className="hidden w-28 sm:block" />}
      <Select
        aria-label="Time" value={isRange ? "range" : search.within ?? ""} className={`w-32 ${narrow}`}
        onChange={(event) => {
          const { value } = event.target;
          setRange(value === "range");
          if (value === "range") onChange({ within: undefined });
          else onChange({ within: value, since: undefined, until: undefined });
        }}
      >
        <option value="">Any time</option>
        {Object.keys(WITHIN).map((within) => <option key={within} value={within}>Last {within.replace("m", " min").replace("h", " h").replace("d", " d")}</option>)}
        <option value="range">Between …</option>
      </Select>
      {isRange && <>
        <Moment label="From" value={search.since} onChange={(since) => onChange({ since })} />
        <Moment label="Until" value={search.until} onChange={(until) => onChange({ until })} />
      </>}
      {!isRange && search.until && <Chip label={`Before ${exactTime(Date.parse(search.until)).replace(/\.\d{3}/, "")}`} onDrop={() => onChange({ until: undefined })} />}
      {search.eventId && isId(search.eventId) && <Chip label={`Of the event ${shortId(search.eventId)}`} onDrop={() => onChange({ eventId: undefined })} />}
      </div>
    </search>
  );
}

function Chip({ label, onDrop }: { label: string; onDrop: () => void }) {
  return <Button icon="cross" onClick={onDrop} aria-label={`${label}: drop this filter`}>{label}</Button>;
}

const local = (at: string | undefined) => (at ? localText(Date.parse(at), "minute") : "");

function Moment({ label, value, onChange }: { label: string; value: string | undefined; onChange: (value: string | undefined) => void }) {
  return (
    <label className="flex min-w-0 items-center gap-1.5 text-sm text-muted">
      {label}
      <span className="w-46"><Input
        key={value} type="datetime-local" defaultValue={local(value)}
        onBlur={(event) => {
          const { value: text } = event.target;
          const next = text && Number.isFinite(Date.parse(text)) ? new Date(text).toISOString() : undefined;
          if (local(next) !== local(value)) onChange(next);
        }}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
      /></span>
    </label>
  );
}
