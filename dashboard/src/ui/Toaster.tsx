import { Toast } from "radix-ui";
import { Button } from "./Button";
import { cx } from "./class-names";
import { Icon } from "./Icon";
import { TONES } from "./states";
import { dismiss, useToasts } from "./toasts";

export function Toaster() {
  const toasts = useToasts();
  return (
    <Toast.Provider swipeDirection="right" label="Notice">
      {toasts.map((one) => (
        <Toast.Root
          key={one.id}
          duration={one.tone === "bad" ? 12_000 : one.undo ? 8_000 : 4_000}
          type={one.tone === "bad" ? "foreground" : "background"}
          onOpenChange={(open) => !open && dismiss(one.id)}
          className="appear flex items-start gap-2.5 rounded-md border bg-raised p-2.5 pl-3 shadow-pop"
        >
          <Icon name={one.tone === "bad" ? "warning" : "check"} className={cx("mt-0.5", TONES[one.tone].text)} />
          <div className="min-w-0 flex-1">
            <Toast.Title className="font-medium">{one.text}</Toast.Title>
            {one.detail && <Toast.Description className="text-sm text-muted">{one.detail}</Toast.Description>}
          </div>
          {one.undo && (
            <Toast.Action asChild altText="Undo what was just done">
              <Button onClick={one.undo}>Undo</Button>
            </Toast.Action>
          )}
          <Toast.Close asChild>
            <Button kind="quiet" icon="cross" bare unhinted className="-my-0.5 size-6">Dismiss</Button>
          </Toast.Close>
        </Toast.Root>
      ))}
      <Toast.Viewport className="fixed bottom-16 right-3 z-50 flex w-88 max-w-[calc(100vw-1.5rem)] flex-col gap-2 outline-none md:bottom-4 md:right-4" />
    </Toast.Provider>
  );
}
