import { expect, test } from "vitest";
import { keyPair, SECOND_KEY_WITHIN } from "./key-pair";

test("the key after the first belongs to it, and the next one does not", () => {
  const step = keyPair("g");
  expect(step("e", 5_000)).toBe("alone");
  expect(step("g", 5_100)).toBe("first");
  expect(step("e", 5_200)).toBe("second");
  expect(step("e", 5_300)).toBe("alone");
});

test("a page that was just loaded has no pair that has begun: times count from its beginning", () => {
  const step = keyPair("g");
  expect(step("g", 40)).toBe("first");
  expect(step("e", 90)).toBe("second");
});

test("too late, it begins anew", () => {
  const step = keyPair("g");
  step("g", 0);
  expect(step("g", SECOND_KEY_WITHIN)).toBe("first");
  expect(step("s", SECOND_KEY_WITHIN + 1)).toBe("second");
});

test("twice the first is a pair that leads nowhere", () => {
  const step = keyPair("g");
  step("g", 0);
  expect(step("g", 10)).toBe("second");
  expect(step("e", 20)).toBe("alone");
});
