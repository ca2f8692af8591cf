/** WCAG 2.2 AA, computed of the tokens: 4.5 for text, 3 for marks and edges of controls. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync("src/ui/tokens.css", "utf8");

function theme(selector: string): Map<string, string> {
  const block = css.slice(css.indexOf(selector)).split("}")[0] ?? "";
  return new Map([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name = "", value = ""]) => [name, value]));
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const channel = parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["ground", "panel", "raised", "sunken"];
const TONES = ["good", "busy", "bad", "held", "probing", "quiet"];

const pairs: [string, string, number][] = [
  ...GROUNDS.flatMap((ground): [string, string, number][] => [
    ["text", ground, 7], ["muted", ground, 4.5], ["accent", ground, 4.5], ["edge", ground, 3],
    ...TONES.map((tone): [string, string, number] => [tone, ground, 4.5]),
  ]),
  ...TONES.flatMap((tone): [string, string, number][] => [[tone, `${tone}-soft`, 4.5], [`${tone}-mark`, "panel", 3]]),
  ["accent-text", "accent", 4.5], ["text", "accent-soft", 7], ["muted", "accent-soft", 4.5], ["accent", "accent-soft", 4.5],
];

describe.each([["light", ":root {"], ["dark", ':root[data-theme="dark"] {']])("%s", (_, selector) => {
  const colours = theme(selector);
  it("has every colour", () => expect(colours.size).toBeGreaterThan(25));
  it.each(pairs)("%s on %s reaches %d", (front, back, least) => {
    expect(contrast(colours.get(front) ?? "", colours.get(back) ?? "")).toBeGreaterThanOrEqual(least);
  });
});
