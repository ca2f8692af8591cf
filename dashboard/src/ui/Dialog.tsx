import { Dialog as Radix } from "radix-ui";
import { useId, useState, type ReactNode } from "react";
import { Button } from "./Button";
import { cx } from "./class-names";
import { leavesDialog } from "./escape";
import { Field, Input } from "./Field";
import { useReturnedFocus } from "./returned-focus";
import { TOASTS } from "./Toaster";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What it is about, read out when it opens. */
  about?: ReactNode;
  children?: ReactNode;
  foot?: ReactNode;
  wide?: boolean;
}

const VEIL = "fixed inset-0 z-40 bg-black/40 dark:bg-black/60";

/** Whoever opens a dialog wants to fill it in; where there is nothing to fill in, to read it. */
function focusFirstField(event: Event) {
  event.preventDefault();
  if (!(event.currentTarget instanceof HTMLElement)) return;
  const field = event.currentTarget.querySelector<HTMLElement>("input, textarea, select");
  (field ?? event.currentTarget).focus();
}

/** What is done about a toast leaves the dialog below it open. */
export function keepForToasts(event: { target: EventTarget | null; detail: { originalEvent: Event }; preventDefault: () => void }) {
  const { target } = event.detail.originalEvent;
  // One that was clicked away is in the page no more when this is asked.
  if (target instanceof Element && (!target.isConnected || target.closest(`[${TOASTS}]`))) event.preventDefault();
}

/** In the middle of the page. */
export function Dialog({ wide = false, ...props }: Props) {
  return (
    <Modal
      {...props} bodyClass="min-h-0" footClass="flex-wrap"
      className={cx("left-1/2 top-[8vh] max-h-[84vh] w-[calc(100vw-1.5rem)] -translate-x-1/2 rounded-lg border", wide ? "max-w-3xl" : "max-w-lg")}
    />
  );
}

/** At the side, for what is looked at beside the list that it came from. */
export function Drawer(props: Omit<Props, "wide">) {
  return <Modal {...props} bodyClass="min-h-0 flex-1" className="inset-y-0 right-0 w-full max-w-xl border-l" />;
}

function Modal({ open, onClose, title, about, children, foot, className, bodyClass, footClass }: Omit<Props, "wide"> & { className: string; bodyClass: string; footClass?: string }) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={VEIL} />
        <Radix.Content
          {...(about ? {} : { "aria-describedby": undefined })}
          onOpenAutoFocus={focusFirstField} onInteractOutside={keepForToasts}
          onKeyDown={(event) => leavesDialog(event.nativeEvent) && onClose()}
          className={cx("appear outline-none fixed z-40 flex flex-col bg-raised shadow-pop", className)}
        >
          <Head title={title} about={about} />
          <div className={cx("overflow-y-auto px-4 pb-4", bodyClass)}>{children}</div>
          {foot && <div className={cx("flex justify-end gap-2 border-t px-4 py-2.5", footClass)}>{foot}</div>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Head({ title, about }: { title: string; about?: ReactNode }) {
  useReturnedFocus();
  return (
    <div className="flex items-start justify-between gap-3 px-4 pb-2.5 pt-3">
      <div className="min-w-0">
        <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
        {about && <Radix.Description asChild><div className="text-muted">{about}</div></Radix.Description>}
      </div>
      <Radix.Close asChild><Button kind="quiet" icon="cross" bare unhinted>Close</Button></Radix.Close>
    </div>
  );
}

/** For what cannot be undone: whoever does it types the thing's name. */
export function ConfirmByName({ open, onClose, onConfirm, title, about, name, verb, busy = false }: {
  open: boolean; onClose: () => void; onConfirm: () => void; title: string; about: ReactNode; name: string; verb: string; busy?: boolean;
}) {
  const form = useId();
  const [typed, setTyped] = useState("");
  const close = () => {
    setTyped("");
    onClose();
  };
  return (
    <Dialog
      open={open} onClose={close} title={title} about={about}
      foot={<>
        <Button onClick={close}>Keep it</Button>
        <Button kind="danger" type="submit" form={form} busy={busy} barred={typed !== name && "Type the name first"}>{verb}</Button>
      </>}
    >
      <form
        id={form}
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name) onConfirm();
        }}
      >
        <Field label={<>Type <span className="font-mono text-sm font-semibold text-text">{name}</span> to go on</>}>
          <Input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} />
        </Field>
      </form>
    </Dialog>
  );
}
