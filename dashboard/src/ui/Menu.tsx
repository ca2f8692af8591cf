import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./class-names";
import { useHome } from "./home";
import { Icon, type IconName } from "./Icon";

/** What can be done with something, behind one button. */
export function Menu({ trigger, children, align = "end" }: { trigger: ReactNode; children: ReactNode; align?: "start" | "end" }) {
  const [home, onOpenChange] = useHome();
  return (
    <DropdownMenu.Root modal={false} onOpenChange={onOpenChange}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal container={home}>
        <DropdownMenu.Content align={align} sideOffset={4} collisionPadding={8} className="appear z-50 min-w-44 max-w-80 rounded-md border bg-raised p-1 shadow-pop">
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function MenuItem({ icon, children, onSelect, danger = false, barred, checked }: {
  icon?: IconName; children: ReactNode; onSelect: () => void; danger?: boolean; barred?: string | false | undefined; checked?: boolean;
}) {
  return (
    <DropdownMenu.Item
      disabled={Boolean(barred)} onSelect={onSelect}
      className={cx(
        "flex min-h-7 cursor-pointer select-none items-center gap-2 rounded px-2 outline-none data-[disabled]:cursor-default data-[highlighted]:bg-accent-soft",
        danger && "text-bad", barred && "text-muted",
      )}
    >
      {icon && <Icon name={icon} size={14} className={danger ? "" : "text-muted"} />}
      <span className="min-w-0 flex-1">{children}{barred && <span className="block text-sm">{barred}</span>}</span>
      {checked && <Icon name="check" size={14} />}
    </DropdownMenu.Item>
  );
}

export function MenuLine() {
  return <DropdownMenu.Separator className="my-1 h-px bg-line" />;
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className="label truncate px-2 py-1">{children}</DropdownMenu.Label>;
}
