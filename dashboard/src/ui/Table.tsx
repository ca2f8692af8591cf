import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { cx } from "./class-names";

export interface Column<T> {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** A track of the grid: `7rem`, `minmax(10rem,1fr)`. */
  width: string;
  align?: "right";
  /** Left out below this width; what matters is in the first columns. */
  from?: "sm" | "md" | "lg";
  /** Stays beside the two lines that a row becomes where there is little room. */
  stays?: "before" | "after";
}

export const ROW_HEIGHT = 32;
/** Of rows of two lines. */
const TALL_ROW_HEIGHT = 52;

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  /** What a row becomes on a phone, where few columns would be left: two lines. */
  narrow?: { head: string; cell: (row: T) => ReactNode };
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** Enter or a click on a row. */
  onOpen?: (row: T) => void;
  /** Rows that have just come. */
  isNew?: (row: T) => boolean;
  /** Stands under the last row, such as "loading more". */
  foot?: ReactNode;
  /** Called when the end comes near. */
  onEnd?: () => void;
  /** How high it is: all rows, or so much of the window with a scroll of its own. */
  height?: "auto" | "fill";
  /** Told of keys on a row before the table is; `go` moves the focus. What it prevents, the table leaves alone. */
  onRowKey?: (event: KeyboardEvent<HTMLElement>, row: T, index: number, go: (index: number) => void) => void;
  /** Rows on another ground; a checkbox in a cell says the same. */
  isSelected?: (row: T) => boolean;
  /** Whether the first row is seen. */
  onTop?: (atTop: boolean) => void;
  /** Whether the keys are on a row. */
  onRowFocus?: (on: boolean) => void;
  /** The rows answer another question than the one that was asked last. */
  isOld?: boolean;
  /** Back to the first row whenever it changes. */
  topKey?: unknown;
}

const NARROWEST: Record<"sm" | "md" | "lg", number> = { sm: 560, md: 760, lg: 1_000 };

/**
 * A dense list. With `fill` only the rows that are seen are in the page, however many there are.
 * Arrow keys move between rows, Enter opens one. It measures itself, not the window: columns go
 * when it becomes narrow.
 */
export function Table<T>({ label, columns, narrow, rows, rowKey, onOpen, isNew, foot, onEnd, height = "auto", onRowKey, isSelected, onTop, onRowFocus, isOld = false, topKey }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(10_000);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => entry && setWide(entry.contentRect.width));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const fills = height === "fill";
  const isNarrow = narrow !== undefined && wide < NARROWEST.sm;
  const rowHeight = isNarrow ? TALL_ROW_HEIGHT : ROW_HEIGHT;
  // The virtualizer's functions are read while rendering, as it is made for.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtual = useVirtualizer({
    count: fills ? rows.length : 0,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : rowKey(row);
    },
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (fills && onEnd && rows.length > 0 && last >= rows.length - 15) onEnd();
  }, [fills, last, onEnd, rows.length]);

  useEffect(() => {
    if (fills) virtual.measure();
    // What was measured is of rows of another height.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [rowHeight]);
  useEffect(() => {
    box.current?.scrollTo({ top: 0 });
  }, [topKey]);
  useEffect(() => {
    const element = box.current;
    if (!element || !onTop) return;
    const look = () => onTop(element.scrollTop < ROW_HEIGHT / 2);
    look();
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, [onTop]);

  const staying = (where: "before" | "after") => columns.filter((column) => column.stays === where);
  const shown: readonly Column<T>[] = isNarrow ? [...staying("before"), { key: "both", head: narrow.head, cell: narrow.cell, width: "minmax(0,1fr)" }, ...staying("after")]
    : columns.filter((column) => column.from === undefined || wide >= NARROWEST[column.from]);
  const grid = { gridTemplateColumns: shown.map((column) => column.width).join(" ") };
  const focusRow = useCallback((index: number) => {
    setAt(index);
    if (fills) virtual.scrollToIndex(index);
    const row = () => box.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);
    // At once where it is drawn: the next key, which may come before the next frame, starts from there.
    const drawn = row();
    if (drawn) drawn.focus();
    else requestAnimationFrame(() => row()?.focus());
  }, [fills, virtual]);
  const onKeyDown = (event: KeyboardEvent<HTMLElement>, index: number, row: T) => {
    if (event.target !== event.currentTarget) return;
    onRowKey?.(event, row, index, (to) => focusRow(Math.min(rows.length - 1, Math.max(0, to))));
    if (event.defaultPrevented) return;
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowHeight) - 2);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      focusRow(Math.min(rows.length - 1, Math.max(0, index + step)));
    } else if (event.key === "Enter" && onOpen) {
      event.preventDefault();
      onOpen(row);
    }
  };
  const drawn = (row: T, index: number, top?: number) => (
    <div
      key={rowKey(row)} role="row" data-index={index} aria-rowindex={index + 2} tabIndex={index === Math.min(at, rows.length - 1) ? 0 : -1}
      onFocus={(event) => {
        setAt(index);
        onRowFocus?.(event.target === event.currentTarget && event.currentTarget.matches(":focus-visible"));
      }}
      onBlur={() => onRowFocus?.(false)}
      onKeyDown={(event) => onKeyDown(event, index, row)}
      onClick={(event) => {
        // A link, a button or selected text in the row means itself; so does a menu of it, which is drawn elsewhere.
        // Whoever holds a key down wants another tab, and finds it by the row's link.
        if (!(event.target instanceof Element) || !event.currentTarget.contains(event.target) || event.target.closest("a,button,input,label")) return;
        if (window.getSelection()?.toString() || event.ctrlKey || event.metaKey || event.shiftKey) return;
        onOpen?.(row);
      }}
      style={top === undefined ? grid : { ...grid, transform: `translateY(${top}px)` }}
      className={cx(
        "grid items-center gap-x-4 border-b px-3 -outline-offset-2 last:border-b-0", isNarrow ? "h-13" : "h-8",
        isSelected?.(row) ? "bg-accent-soft" : "hover:bg-sunken/60",
        onOpen && "cursor-pointer", top !== undefined && "absolute inset-x-0 top-0", isNew?.(row) && "arrive",
      )}
    >
      {shown.map((column) => (
        <div key={column.key} role="cell" className={cx("min-w-0 truncate", column.align === "right" && "text-right")}>{column.cell(row)}</div>
      ))}
    </div>
  );
  return (
    <div ref={box} className={cx("relative overflow-x-hidden", fills ? "min-h-0 overflow-y-auto [overflow-anchor:none]" : "overflow-y-visible")}>
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} aria-busy={isOld || undefined} className={isOld ? "opacity-60" : undefined}>
      <div role="rowgroup" className={isNarrow && staying("before").length === 0 ? "sr-only" : "sticky top-0 z-10 bg-panel"}>
        <div role="row" aria-rowindex={1} style={grid} className="grid h-8 items-center gap-x-4 border-b px-3">
          {shown.map((column) => (
            <div key={column.key} role="columnheader" className={cx("label truncate", column.align === "right" && "text-right")}>{column.head}</div>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="relative" style={fills ? { height: virtual.getTotalSize() } : undefined}>
        {fills
          ? items.map((item) => {
              const row = rows[item.index];
              return row === undefined ? null : drawn(row, item.index, item.start);
            })
          : rows.map((row, index) => drawn(row, index))}
      </div>
      </div>
      {foot}
    </div>
  );
}

/** A row on a phone: what it is and when, and under that how it stands. */
export function TwoLines({ first, aside, second, end }: { first: ReactNode; aside?: ReactNode; second: ReactNode; end?: ReactNode }) {
  return (
    <>
      <div className="flex items-baseline justify-between gap-3"><span className="min-w-0 truncate">{first}</span><span className="shrink-0 text-sm text-muted">{aside}</span></div>
      <div className="flex items-baseline justify-between gap-3 text-sm"><span className="flex min-w-0 items-baseline gap-2.5">{second}</span><span className="max-w-1/2 shrink-0 truncate">{end}</span></div>
    </>
  );
}
