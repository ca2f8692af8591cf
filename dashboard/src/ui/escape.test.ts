// @vitest-environment jsdom
import { expect, test } from "vitest";
import { leavesDialog, takenByHint } from "./escape";

const pressed = (key: string) => new KeyboardEvent("keydown", { key, cancelable: true });

test("Escape leaves a dialog also where it closed a hint", () => {
  const escape = pressed("Escape");
  expect(leavesDialog(escape)).toBe(true);
  takenByHint(escape);
  escape.preventDefault();
  expect(leavesDialog(escape)).toBe(true);
});

test("Escape that closed something else, and any other key, leave it open", () => {
  const escape = pressed("Escape");
  escape.preventDefault();
  expect(leavesDialog(escape)).toBe(false);
  expect(leavesDialog(pressed("Enter"))).toBe(false);
});

test("Escape ends the composition of a character first", () => {
  expect(leavesDialog(new KeyboardEvent("keydown", { key: "Escape", isComposing: true }))).toBe(false);
});
