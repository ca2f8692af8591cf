import { expect, it } from "vitest";
import { prettyJson, rawField } from "./json";

it("lays JSON out without touching what it says", () => {
  const raw = '{ "z" : 1.0, "a":1E400,"a":"\\u00e9 {,}:","big":12345678901234567890,"e":[],"o":{},"l":[1,[true,null]] }';
  const pretty = prettyJson(raw);
  expect(pretty?.replace(/\s+/g, "")).toBe(raw.replace(/\s+/g, ""));
  expect(pretty).toContain('\n  "a": 1E400,\n  "a": "\\u00e9 {,}:",\n  "big": 12345678901234567890,\n  "e": [],\n  "o": {},\n  "l": [\n    1,');
});

it("says where something is no JSON", () => {
  expect(prettyJson("{")).toBeUndefined();
});

it("finds a field's own bytes", () => {
  const text = '{"a":{"payload":1},"x":"payload","payload": {"n":1.0,"s":"a,}\\"","l":[1,2]} ,"z":[{"payload":2}],"last":12345678901234567890}';
  expect(rawField(text, "payload")).toBe('{"n":1.0,"s":"a,}\\"","l":[1,2]}');
  expect(rawField(text, "last")).toBe("12345678901234567890");
  expect(rawField(text, "a")).toBe('{"payload":1}');
  expect(rawField(text, "n")).toBeUndefined();
});
