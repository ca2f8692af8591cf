import type { TestSend } from "../../api/types";
import { CodeBlock } from "../../ui/Code";
import { duration } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { prettyJson } from "../../ui/json";
import { HttpStatus } from "../../ui/State";
import { cx } from "../../ui/class-names";
import { timingParts } from "../deliveries/timing";

/** What came of a test send: the answer, where its time went, and what was sent. */
export function TestOutcome({ outcome }: { outcome: TestSend }) {
  const parts = timingParts(outcome);
  const headers = (given: Record<string, string>) => Object.entries(given).map(([name, value]) => `${name}: ${value}`).join("\n");
  return (
    <div role="status" className="flex min-w-0 flex-col gap-2">
      <p className={cx("flex items-center gap-2 font-medium", outcome.success ? "text-good" : "text-bad")}>
        <Icon name={outcome.success ? "check" : "cross"} size={14} />
        {outcome.success ? "It arrived" : outcome.status ? "It was refused" : "It did not arrive"}
        <HttpStatus status={outcome.status} error={outcome.errorKind} />
        <span className="font-normal text-muted">{duration(outcome.durationMs)}</span>
      </p>
      {outcome.error && <p className="break-words text-muted">{outcome.error}</p>}
      {parts.length > 0 && (
        <div>
          <div aria-hidden="true" className="flex h-1.5 gap-px overflow-hidden rounded-sm">{parts.map((part) => <div key={part.name} style={{ flexGrow: part.share, flexBasis: 2 }} className={part.mark} />)}</div>
          <p className="mt-1 flex flex-wrap gap-x-3 text-sm text-muted">{parts.map((part) => <span key={part.name} className="inline-flex items-center gap-1"><span aria-hidden="true" className={cx("size-2 rounded-[2px]", part.mark)} />{part.name} {duration(part.ms)}</span>)}</p>
        </div>
      )}
      {outcome.responseBody !== null && outcome.responseBody !== undefined && (
        <details open={!outcome.success && outcome.responseBody !== ""}>
          <summary className="min-h-6 w-fit leading-6 text-muted">What it answered</summary>
          <CodeBlock label="answer" text={`${headers(outcome.responseHeaders ?? {})}\n\n${outcome.responseBody}${outcome.responseBodyCut ? "…" : ""}`} />
        </details>
      )}
      <details>
        <summary className="min-h-6 w-fit leading-6 text-muted">What was sent</summary>
        <CodeBlock label="request" text={`POST ${outcome.url}\n${headers(outcome.requestHeaders)}\n\n${prettyJson(outcome.requestBody) ?? outcome.requestBody}`} />
      </details>
    </div>
  );
}
