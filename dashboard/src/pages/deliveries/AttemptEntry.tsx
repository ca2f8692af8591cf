import { useState } from "react";
import type { Attempt } from "../../api/types";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/class-names";
import { CodeBlock, JsonViewer } from "../../ui/Code";
import { copyText } from "../../ui/copy";
import { bytes, duration } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { prettyJson } from "../../ui/json";
import { Badge, HttpStatus } from "../../ui/State";
import { Tabs } from "../../ui/Tabs";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { curlOf } from "./curl";
import { timingParts } from "./timing";
import { isBinary, isGood, saidOf, triggerWords } from "./words";

/** One attempt: what was sent, what came back, where the time went, and what it means. */
export function AttemptEntry({ attempt, url, body, opened }: { attempt: Attempt; url: string | undefined; body: string | undefined; opened: boolean }) {
  const [open, setOpen] = useState(opened);
  const good = isGood(attempt);
  const said = saidOf(attempt);
  const id = `attempt-${attempt.id}`;
  return (
    <li className="relative pl-7">
      <span aria-hidden="true" className={cx("absolute left-[0.92rem] top-3 size-2.5 -translate-x-1/2 rounded-full ring-3 ring-panel", attempt.stale ? "bg-quiet-mark" : good ? "bg-good-mark" : "bg-bad-mark")} />
      <button type="button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)} className="flex min-h-8 w-full flex-wrap items-center gap-x-3 gap-y-0 rounded py-0.5 pr-3 text-left hover:bg-sunken/60">
        <span className="flex items-center gap-1.5 font-medium"><Icon name={open ? "down" : "right"} size={13} className="text-muted" />Attempt {attempt.number}</span>
        <HttpStatus status={attempt.status} error={attempt.errorKind} />
        {attempt.status != null && attempt.errorKind && attempt.errorKind !== "status" && <span className="font-mono text-sm text-bad">{attempt.errorKind}</span>}
        {attempt.stale && <Badge>stale</Badge>}
        <span className="text-sm text-muted">{duration(attempt.durationMs)}</span>
        {attempt.trigger !== "schedule" && <span className="text-sm text-muted">{triggerWords(attempt.trigger)}</span>}
        <span className="ml-auto text-sm text-muted"><Time at={attempt.startedAt} /></span>
      </button>
      {open && (
        <div id={id} className="flex min-w-0 flex-col gap-3 pb-4 pr-3 pt-1">
          {attempt.stale && <p className="max-w-prose text-sm text-muted">Stale: it was made by a process that no longer owned the delivery, or while something else moved it. It is kept to be seen, and decided nothing.</p>}
          {said && (
            <div className="max-w-prose">
              <p className="font-medium">{attempt.error && attempt.errorKind !== "status" ? `${said.what.replace(/\.$/, "")}: ${attempt.error}.` : said.what}</p>
              <p className="text-muted">{said.advice}</p>
            </div>
          )}
          <TimingBar attempt={attempt} />
          <Exchange attempt={attempt} url={url} body={body} />
        </div>
      )}
    </li>
  );
}

function TimingBar({ attempt }: { attempt: Attempt }) {
  const parts = timingParts(attempt);
  if (parts.length === 0) return null;
  return (
    <div>
      <div role="img" aria-label={`Of ${duration(attempt.durationMs)}: ${parts.map((part) => `${part.name} ${duration(part.ms)}`).join(", ")}`} className="flex h-2.5 gap-px overflow-hidden rounded-sm bg-sunken">
        {parts.map((part) => <div key={part.name} style={{ flexGrow: part.share }} className={cx("min-w-0.5 basis-0", part.mark)} />)}
      </div>
      <ul aria-hidden="true" className="mt-1.5 flex flex-wrap gap-x-4 gap-y-0.5 text-sm">
        {parts.map((part) => (
          <li key={part.name} className="flex items-center gap-1.5">
            <span className={cx("size-2 rounded-[2px]", part.mark)} /><span className="text-muted">{part.name}</span>{duration(part.ms).replace(/^0\.0 /, "0 ")}
          </li>
        ))}
        {attempt.timing.connectMs == null && attempt.timing.firstByteMs != null && <li className="text-muted">on a connection that stood</li>}
      </ul>
    </div>
  );
}

/** Made when it is asked for: bodies may be long. */
function CopyCommand({ text }: { text: () => string }) {
  return (
    <Button
      kind="quiet" icon="copy" className="h-6 shrink-0"
      onClick={() => void copyText(text()).then((done) => toast(done ? { text: "The command is copied", detail: "Secrets are variables in it." } : { tone: "bad", text: "The browser does not allow copying on this page" }))}
    >
      Copy as curl
    </Button>
  );
}

type Shown = "answer" | "answer-headers" | "request-headers";

function Exchange({ attempt, url, body }: { attempt: Attempt; url: string | undefined; body: string | undefined }) {
  const answered = attempt.status !== null && attempt.status !== undefined;
  const [shown, setShown] = useState<Shown>(answered ? "answer" : "request-headers");
  const answer = attempt.responseBody;
  const tabs = [
    ...(answered ? [
      {
        value: "answer" as const, label: "Answer",
        content: answer === "" ? <p className="p-3 text-muted">The answer has no body.</p> : (
          <>
            {attempt.responseBodyCut && <p className="border-b px-3 py-1.5 text-sm text-busy">Cut: these are the first {bytes(new Blob([answer]).size)}; what came after them was not kept.</p>}
            {isBinary(answer) && <p className="border-b px-3 py-1.5 text-sm text-muted">Much of it is no text: � stands for bytes that are none.</p>}
            {prettyJson(answer) === undefined ? <CodeBlock text={answer} label="answer" className="m-2" /> : <JsonViewer value={null} raw={answer} label="answer" />}
          </>
        ),
      },
      { value: "answer-headers" as const, label: "Its headers", content: <HeaderList headers={attempt.responseHeaders} label="The answer's headers" /> },
    ] : []),
    { value: "request-headers" as const, label: "Headers as sent", content: <HeaderList headers={attempt.requestHeaders} label="Headers as sent" /> },
  ];
  return (
    <div className="min-w-0 rounded border">
      <Tabs label={`Attempt ${attempt.number}`} value={shown} onChange={setShown} tabs={tabs} />
      <div className="flex items-center justify-between gap-3 border-t px-3 py-1 text-sm text-muted">
        <span>{url === undefined ? "" : <span className="break-all font-mono">POST {url.replace(/^(\w+:\/\/[^/?#]*).*$/, "$1")}</span>}</span>
        <CopyCommand text={() => curlOf(url, attempt.requestHeaders, body)} />
      </div>
    </div>
  );
}

function HeaderList({ headers, label }: { headers: Readonly<Record<string, string>>; label: string }) {
  const entries = Object.entries(headers);
  if (entries.length === 0) return <p className="p-3 text-muted">None were kept.</p>;
  return (
    <dl aria-label={label} className="px-3 py-1.5 font-mono text-sm">
      {entries.map(([name, value]) => (
        <div key={name} className="grid grid-cols-1 gap-x-4 py-0.5 sm:grid-cols-[minmax(9rem,13rem)_minmax(0,1fr)]">
          <dt className="text-muted">{name}</dt>
          <dd className="break-all">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
