// @vitest-environment jsdom
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Combobox } from "./Combobox";

let root: Root;
let input: HTMLInputElement;
const chosen = vi.fn();
const sent = vi.fn((event: { preventDefault: () => void }) => event.preventDefault());

vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
vi.stubGlobal("ResizeObserver", class {
  observe() {}
  unobserve() {}
  disconnect() {}
});
Element.prototype.scrollIntoView = () => undefined;

function show(value: string, strict = false) {
  const box = document.createElement("div");
  document.body.append(box);
  root = createRoot(box);
  act(() => root.render(<form onSubmit={sent}><Combobox label="Type" strict={strict} value={value} onChange={chosen} options={[{ value: "1", label: "Ärger" }, { value: "job.created" }, { value: "job.closed" }]} /><button type="submit">Send</button></form>));
  const found = box.querySelector("input");
  if (!found) throw new Error("there is no input");
  input = found;
}

function type(text: string) {
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

/** As a browser does it: Enter that nobody prevents sends the form. */
function press(key: string, more: KeyboardEventInit = {}) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  act(() => void input.dispatchEvent(event));
  if (key === "Enter" && !event.defaultPrevented) act(() => input.form?.requestSubmit());
}

beforeEach(() => {
  chosen.mockClear();
  sent.mockClear();
});
afterEach(() => {
  act(() => root.unmount());
  document.body.replaceChildren();
});

it("takes what was typed by Enter, and sends the form only with the next one", () => {
  show("");
  type("job.other");
  press("Enter");
  expect(chosen.mock.calls).toEqual([["job.other"]]);
  expect(sent).not.toHaveBeenCalled();
  press("Enter");
  expect(sent).toHaveBeenCalledTimes(1);
});

it("takes the text and not a suggestion that begins with it, unless it is marked", () => {
  show("");
  type("job");
  press("Enter");
  expect(chosen).toHaveBeenLastCalledWith("job");
  type("job");
  press("ArrowDown");
  press("ArrowDown");
  press("Enter");
  expect(chosen).toHaveBeenLastCalledWith("job.closed");
  expect(sent).not.toHaveBeenCalled();
});

it("keeps what is chosen where it is only looked at", () => {
  show("job.closed");
  act(() => input.click());
  press("Enter");
  expect(chosen).not.toHaveBeenCalled();
});

it("takes the first match where nothing else may be given, and nothing where there is none", () => {
  show("", true);
  type("är");
  press("Enter");
  expect(chosen.mock.calls).toEqual([["1"]]);
  type("nowhere");
  press("Enter");
  expect(chosen).toHaveBeenCalledTimes(1);
  expect(sent).not.toHaveBeenCalled();
});

it("leaves Enter to what is being composed of several keys", () => {
  show("");
  type("か");
  act(() => void input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, isComposing: true })));
  expect(chosen).not.toHaveBeenCalled();
});
