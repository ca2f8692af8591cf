// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import { askToSignInAgain, doneAsking, watchTyping } from "./session-end";

let resolved: (change: { pathChanged: boolean }) => void = () => {};
const router = { subscribe: (_: "onResolved", tell: typeof resolved) => ((resolved = tell), () => {}) };
let stop = () => {};

afterEach(() => {
  stop();
  doneAsking();
  document.body.replaceChildren();
});

function type(into: string) {
  const field = document.createElement("input");
  field.type = into;
  document.body.append(field);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

it("asks where something was typed, until one goes elsewhere", () => {
  stop = watchTyping(router);
  expect(askToSignInAgain()).toBe(false);
  type("text");
  resolved({ pathChanged: false });
  expect(askToSignInAgain()).toBe(true);
  resolved({ pathChanged: true });
  expect(askToSignInAgain()).toBe(false);
});

it("does not stay for what stands in the address", () => {
  stop = watchTyping(router);
  type("search");
  expect(askToSignInAgain()).toBe(false);
});
