// @vitest-environment jsdom
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Dialog } from "./Dialog";
import { Toaster } from "./Toaster";
import { dismissAll, toast } from "./toasts";

let root: Root;
const closed = vi.fn();
const undone = vi.fn();

vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);

function show(withDialog: boolean) {
  const box = document.createElement("div");
  document.body.append(box);
  root = createRoot(box);
  act(() => root.render(<><Toaster /><Dialog open={withDialog} onClose={closed} title="A dialog"><p>of text</p></Dialog></>));
}

const shown = () => [...document.querySelectorAll("[data-toasts] li")].map((one) => one.querySelector("p")?.textContent);
const list = () => document.querySelector("[data-toasts] ol");

beforeEach(() => {
  vi.useFakeTimers();
  closed.mockClear();
  undone.mockClear();
});
afterEach(() => {
  act(() => {
    dismissAll();
    root.unmount();
  });
  document.body.replaceChildren();
  vi.useRealTimers();
});

it("leaves Escape to the dialog below", () => {
  show(true);
  act(() => toast({ text: "It is done" }));
  act(() => void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true })));
  expect(closed).toHaveBeenCalledTimes(1);
  expect(shown()).toEqual(["It is done"]);
});

it("goes by itself, bad news later, and not while it is looked at", () => {
  show(false);
  act(() => toast({ text: "good" }));
  act(() => toast({ text: "bad", tone: "bad" }));
  act(() => void vi.advanceTimersByTime(3_000));
  act(() => void list()?.dispatchEvent(new PointerEvent("pointerover", { bubbles: true })));
  act(() => void vi.advanceTimersByTime(60_000));
  expect(shown()).toEqual(["good", "bad"]);
  act(() => void list()?.dispatchEvent(new PointerEvent("pointerout", { bubbles: true })));
  act(() => void vi.advanceTimersByTime(1_100));
  expect(shown()).toEqual(["bad"]);
  act(() => void vi.advanceTimersByTime(9_000));
  expect(shown()).toEqual([]);
});

it("undoes once, and is gone by it; the next one goes by itself again", () => {
  show(false);
  act(() => toast({ text: "paused", undo: undone }));
  act(() => void list()?.dispatchEvent(new PointerEvent("pointerover", { bubbles: true })));
  act(() => [...document.querySelectorAll<HTMLButtonElement>("[data-toasts] button")].find((one) => one.textContent === "Undo")?.click());
  expect(undone).toHaveBeenCalledTimes(1);
  expect(shown()).toEqual([]);
  act(() => toast({ text: "active" }));
  act(() => void vi.advanceTimersByTime(4_100));
  expect(shown()).toEqual([]);
});
