import { expect, it } from "vitest";
import { bareKey, pastedFault } from "./pasted";

it("takes a key out of what it was pasted with", () => {
  const pasted = ["phk_a-_1", "  phk_a-_1\t", '"phk_a-_1"', '"phk_a-_1",', "'phk_a-_1';", "POSTHASTE_KEY=phk_a-_1", 'export KEY="phk_a-_1"', "Authorization: Bearer phk_a-_1", "bearer phk_a-_1"];
  expect(new Set(pasted.map(bareKey))).toEqual(new Set(["phk_a-_1"]));
  expect(bareKey("an admin's own, with = and \"marks\"")).toBe("an admin's own, with = and \"marks\"");
});

it("says when more was pasted than a secret", () => {
  for (const bad of [" eight888", "eight888\t", '"eight888"', "'eight888',", "whsec_abc,"]) expect(pastedFault(bad)).toContain("alone");
  for (const good of ["eight888", "eight, and more", 'say "eight"', "whsec_abc="]) expect(pastedFault(good)).toBeUndefined();
});
