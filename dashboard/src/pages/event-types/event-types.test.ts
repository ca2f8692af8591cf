// @vitest-environment jsdom
import { expect, it } from "vitest";
import { bodyOf, faultsOfFirst, written } from "./queries";

it("keeps schema and example as they were written, there and back", () => {
  const text = '{"name":"a.b","description":null,"example":{"n":12345678901234567890},"schema":{"maximum":1.00},"archived":false,"createdAt":"c","updatedAt":"u"}';
  const read = written(text);
  expect(read).toMatchObject({ description: "", example: '{"n":12345678901234567890}', schema: '{"maximum":1.00}' });
  expect(bodyOf({ ...read, name: "a.b" })).toBe('{"name":"a.b","description":null,"schema":{"maximum":1.00},"example":{"n":12345678901234567890}}');
});

it("takes away what is empty", () => {
  expect(written('{"name":"a","description":"x","example":null,"schema":null,"archived":true}')).toMatchObject({ schema: "", example: "" });
  expect(JSON.parse(bodyOf({ name: "a", description: " ", schema: " ", example: "", archived: true }))).toEqual({ name: "a", description: null, schema: null, example: null, archived: true });
});

it("reads what the relay says of the example, and nothing of the event that is none", () => {
  expect(faultsOfFirst([
    { path: "[0].payload:", message: '"orderId" is a required property' },
    { path: "[0].payload/items/0/n", message: 'the value is not of type "integer"' },
    { path: "[1].eventType", message: "is required" },
  ])).toEqual(['"orderId" is a required property', 'items/0/n: the value is not of type "integer"']);
});
