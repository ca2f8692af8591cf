import { expect, it } from "vitest";
import { visible } from "./visible";

it("shows what would change how a text reads, and leaves every language as it is", () => {
  expect(visible("safe\u202Egpj.exe\u0000 \u200Btab\there\nline")).toBe("safe\\u202Egpj.exe\\u0000 \\u200Btab\there\nline");
  const plain = "שלום 你好 é 👩‍💻 naïve";
  expect(visible(plain)).toBe(plain);
  // Of JSON it makes the same JSON.
  expect(JSON.parse(visible('{"\u202Ekey":"a\u2066b"}'))).toEqual({ "\u202Ekey": "a\u2066b" });
});
