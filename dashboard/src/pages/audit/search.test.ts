import { expect, it } from "vitest";
import { auditSearch } from "./search";

it("keeps what it knows of a URL, and drops the rest", () => {
  expect(auditSearch({ action: "key.create", thing: " ", thingId: 42, caller: "ada@example.com", within: "7d", page: 3 }))
    .toEqual({ action: "key.create", thingId: "42", caller: "ada@example.com", within: "7d" });
  expect(auditSearch({ within: "toString", action: ["a"] })).toEqual({});
});
