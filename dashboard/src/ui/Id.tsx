import { useState } from "react";
import { cx } from "./class-names";
import { copyText } from "./copy";
import { shortId } from "./format";
import { Icon } from "./Icon";
import { toast } from "./toasts";

/** An id, shortened in the middle; a click copies all of it. */
export function Id({ id, full = false, className }: { id: string; full?: boolean; className?: string }) {
  return (
    <CopyButton text={id} what="Id" className={cx("font-mono text-sm text-muted", className)}>
      {full ? id : shortId(id)}
    </CopyButton>
  );
}

/** Text that copies something when it is clicked. */
export function CopyButton({ text, what, children, className }: { text: string; what: string; children?: React.ReactNode; className?: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      title={children === undefined ? `Copy ${what.toLowerCase()}` : text}
      onClick={(event) => {
        event.stopPropagation();
        event.preventDefault();
        void copyText(text).then((done) => {
          if (!done) return toast({ tone: "bad", text: "The browser does not allow copying on this page" });
          setCopied(true);
          setTimeout(() => setCopied(false), 1_200);
        });
      }}
      className={cx("group/copy inline-flex min-h-6 min-w-0 max-w-full items-center gap-1 rounded hover:text-text", className)}
    >
      {children !== undefined && <span className="truncate">{children}</span>}
      <Icon
        name={copied ? "check" : "copy"}
        size={12}
        className={cx(copied ? "text-good" : children === undefined ? "" : "opacity-0 group-hover/copy:opacity-100 group-focus-visible/copy:opacity-100")}
      />
      <span className="sr-only">Copy {what.toLowerCase()}</span>
      <span className="sr-only" role="status">{copied ? `${what} copied` : ""}</span>
    </button>
  );
}
