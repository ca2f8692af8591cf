import { useState, type ReactNode } from "react";
import { Button } from "./Button";
import { copyText } from "./copy";
import { Dialog } from "./Dialog";
import { Notice } from "./Feedback";
import { Field, Input } from "./Field";
import { toast } from "./toasts";

/** Something secret that is never shown again. Whoever closes it without having copied it is asked once more. */
export function ShownOnce({ title, about, label, text, onClose, children }: { title: string; about: ReactNode; label: string; text: string; onClose: () => void; children?: ReactNode }) {
  const [copied, setCopied] = useState(false);
  const [warned, setWarned] = useState(false);
  const close = () => {
    if (copied || warned) onClose();
    else setWarned(true);
  };
  const copy = async () => {
    if (await copyText(text)) setCopied(true);
    else toast({ tone: "bad", text: "The browser does not allow copying on this page", detail: "Select it and copy it by hand." });
  };
  return (
    <Dialog
      open onClose={close} title={title} about={about}
      foot={<>
        <Button onClick={close}>{copied ? "Done" : warned ? "Close without it" : "Close"}</Button>
        <Button kind="primary" icon={copied ? "check" : "copy"} onClick={() => void copy()}>{copied ? "Copied" : "Copy"}</Button>
      </>}
    >
      <div className="flex flex-col gap-3">
        <Field label={label}><Input readOnly mono value={text} onFocus={(event) => event.target.select()} onCopy={() => setCopied(true)} /></Field>
        <span role="status" className="contents">{warned && !copied && <Notice tone="busy" icon="warning">You have not copied it. Nobody can show it again once this is closed.</Notice>}</span>
        {children}
      </div>
    </Dialog>
  );
}
