import { Tooltip } from "radix-ui";
import type { ReactNode } from "react";

/** Wraps the page once: the first hint waits, the next ones are there at once. */
export function HintProvider({ children }: { children: ReactNode }) {
  return <Tooltip.Provider delayDuration={350} skipDelayDuration={200}>{children}</Tooltip.Provider>;
}

/** Words that show on hover and on focus. Its child must take a ref and be focusable. */
export function Hint({ text, children, side = "top" }: { text: ReactNode; children: ReactNode; side?: "top" | "right" | "bottom" | "left" }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content side={side} sideOffset={5} collisionPadding={8} className="appear z-50 max-w-80 rounded border bg-raised px-2 py-1 text-sm text-text shadow-pop">
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
