import { expect, it } from "vitest";
import { searchText } from "./search-text";

it("keeps a text as it can be sent", () => {
  expect([" a ", 7, "", "  ", null, undefined, ["a"], true].map(searchText)).toEqual(["a", "7", undefined, undefined, undefined, undefined, undefined, undefined]);
  expect(searchText("مرحبا 🦄")).toBe("مرحبا 🦄");
  const long = searchText("🦄".repeat(300)) ?? "";
  expect([...long]).toHaveLength(255);
  expect(() => encodeURIComponent(long)).not.toThrow();
  expect(searchText("a\ud83d")).toBe("a");
});
