import { expect, it } from "vitest";
import { oneKeyForEach } from "./idempotency";

it("gives what is sent again the key that it had, and what was changed another one", () => {
  const keyOf = oneKeyForEach();
  const first = keyOf("a");
  expect(first).toMatch(/^dashboard-[0-9a-f]{32}$/);
  expect(keyOf("a")).toBe(first);
  expect(keyOf("b")).not.toBe(first);
  expect(oneKeyForEach()("a")).not.toBe(first);
});
