import { expect, it } from "vitest";
import { prettyJson } from "./json";

it("lays JSON out without touching what it says", () => {
  const raw = '{ "z" : 1.0, "a":1E400,"a":"\\u00e9 {,}:","big":12345678901234567890,"e":[],"o":{},"l":[1,[true,null]] }';
  const pretty = prettyJson(raw);
  expect(pretty?.replace(/\s+/g, "")).toBe(raw.replace(/\s+/g, ""));
  expect(pretty).toContain('\n  "a": 1E400,\n  "a": "\\u00e9 {,}:",\n  "big": 12345678901234567890,\n  "e": [],\n  "o": {},\n  "l": [\n    1,');
});

it("says where something is no JSON", () => {
  expect(prettyJson("{")).toBeUndefined();
});
