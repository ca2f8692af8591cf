// @vitest-environment jsdom
import { expect, it } from "vitest";
import { isOther } from "./version";

const page = (script: string) => `<!doctype html><head><script src="/ui/theme.js"></script><script type="module" src="/ui/assets/${script}.js"></script><link rel="stylesheet" href="/ui/assets/a.css"></head>`;
const own = ["/ui/assets/index-1.js", "/ui/assets/a.css"];

it("knows another build by its files, and takes nothing else for one", () => {
  expect(isOther(page("index-1"), own)).toBe(false);
  expect(isOther(page("index-2"), own)).toBe(true);
  // A binary without a dashboard, a proxy's page, and what a server for development sends.
  expect(isOther("<h1>This binary holds no dashboard</h1>", own)).toBe(false);
  expect(isOther('<script type="module" src="/ui/src/main.tsx"></script>', own)).toBe(false);
});
