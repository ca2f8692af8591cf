import { useMemo, useState, type ReactNode } from "react";
import { cx } from "./class-names";
import { bytes } from "./format";
import { CopyButton } from "./Id";
import { colouredJson, prettyJson } from "./json";
import { Choice } from "./Tabs";
import { Explained } from "./Tooltip";
import { visible } from "./visible";

/** Text as it is, to be copied. */
export function CodeBlock({ text, label, className }: { text: string; label: string; className?: string }) {
  return (
    <div className={cx("flex min-w-0 items-start rounded border bg-sunken", className)}>
      {/* It scrolls, so it has to be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={label} className="max-h-96 min-w-0 flex-1 overflow-auto whitespace-pre-wrap p-2.5 font-mono text-sm wrap-anywhere -outline-offset-2">{visible(text)}</pre>
      <CopyButton text={text} what={label} className="m-1 size-6 shrink-0 justify-center text-muted" />
    </div>
  );
}

/** The next step as a command. The key is named, never shown. */
export function Curl({ path, method = "GET", body, raw = body === undefined ? undefined : JSON.stringify(body), note, isKeyKnown = false }: {
  path: string; method?: string; body?: unknown; /** A body that stays as it was typed. */ raw?: string | undefined; note?: ReactNode; /** It was said before where the key is. */ isKeyKnown?: boolean;
}) {
  const lines = [`curl -s${method === "GET" ? "" : ` -X ${method}`} ${window.location.origin}${path}`, `-H "X-API-Key: $POSTHASTE_KEY"`];
  if (raw !== undefined) lines.push(`-H "Content-Type: application/json"`, `-d '${raw.replaceAll("'", "'\\''")}'`);
  return (
    <div className="min-w-0 max-w-[min(42rem,100%)] text-left">
      {note && <p className="mb-1 text-sm text-muted">{note}</p>}
      <CodeBlock label="command" text={lines.join(" \\\n  ")} />
      {!isKeyKnown && <p className="mt-1 text-sm text-muted"><Explained text={<>Your key: <span className="font-mono">export POSTHASTE_KEY=…</span> first. Where the relay runs, the admin key is in <span className="font-mono">admin.key</span> in its data directory.</>}>POSTHASTE_KEY</Explained> holds your key.</p>}
    </div>
  );
}

/** Longer ones are shown without colours: it is the browser that would become slow. */
const MOST_COLOURED = 60_000;

/** A payload: pretty, raw, copied. */
export function JsonViewer({ value, label, raw }: { value: unknown; label: string; raw?: string }) {
  const [as, setAs] = useState<"pretty" | "raw">("pretty");
  const text = useMemo(() => raw ?? JSON.stringify(value), [raw, value]);
  const pretty = useMemo(() => prettyJson(text) ?? text, [text]);
  const shown = as === "pretty" ? pretty : text;
  return (
    <div className="min-w-0">
      <div className="flex h-9 items-center justify-between border-b px-3">
        <span className="text-sm text-muted">{bytes(new Blob([text]).size)}</span>
        <span className="flex items-center gap-2">
          <Choice label="How it is shown" value={as} onChange={setAs} options={[{ value: "pretty", label: "Pretty" }, { value: "raw", label: "Raw" }]} />
          <CopyButton text={shown} what={label} className="size-6 justify-center text-muted" />
        </span>
      </div>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={label} className={cx("max-h-[28rem] overflow-auto whitespace-pre-wrap p-3 font-mono text-sm -outline-offset-2", as === "raw" ? "break-all" : "wrap-anywhere")}>
        {as === "pretty" && pretty.length <= MOST_COLOURED ? colouredJson(visible(pretty)) : visible(shown)}
      </pre>
    </div>
  );
}
