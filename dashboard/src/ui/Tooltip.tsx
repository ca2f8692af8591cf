import { Tooltip } from "radix-ui";
import { useState, type ReactNode } from "react";
import { takenByHint } from "./escape";
import { useHome } from "./home";

/** Wraps the page once: the first hint waits, the next ones are there at once. */
export function HintProvider({ children }: { children: ReactNode }) {
  return <Tooltip.Provider delayDuration={350} skipDelayDuration={200}>{children}</Tooltip.Provider>;
}

/** Words that show on hover and on focus. Its child must take a ref and be focusable. */
export function Hint({ text, children, side = "top" }: { text: ReactNode; children: ReactNode; side?: "top" | "right" | "bottom" | "left" }) {
  const [home, onOpenChange] = useHome();
  return (
    <Tooltip.Root onOpenChange={onOpenChange}>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal container={home}>
        <Tooltip.Content side={side} sideOffset={5} collisionPadding={8} onEscapeKeyDown={takenByHint} className="appear z-50 max-w-80 rounded border bg-raised px-2 py-1 text-sm text-text shadow-pop">
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}

/** A word with an explanation: by hover and focus as other hints, and by touch and click, which those do not hear. */
export function Explained({ text, children }: { text: ReactNode; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [home, find] = useHome();
  const change = (next: boolean) => {
    find(next);
    setOpen(next);
  };
  return (
    <Tooltip.Root open={open} onOpenChange={change}>
      <Tooltip.Trigger asChild>
        <button
          type="button"
          // Radix closes on both.
          onPointerDown={(event) => event.preventDefault()}
          onClick={(event) => {
            event.preventDefault();
            change(true);
          }}
          className="-mt-2 inline-flex min-h-6 max-w-full cursor-help items-end text-inherit underline decoration-edge decoration-dotted underline-offset-3"
        >
          <span className="truncate">{children}</span>
        </button>
      </Tooltip.Trigger>
      <Tooltip.Portal container={home}>
        <Tooltip.Content side="top" sideOffset={4} collisionPadding={8} onEscapeKeyDown={takenByHint} className="appear z-50 max-w-80 rounded border bg-raised px-2 py-1 text-sm text-text shadow-pop">
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
