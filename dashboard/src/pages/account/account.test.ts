// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import { browserOf } from "./browser";
import { forgetKey, takeKey, takenKey } from "./fragment";

afterEach(() => {
  forgetKey();
  window.history.replaceState(null, "", "/");
});

it("takes a key out of the address of the sign-in page, and leaves the rest", () => {
  window.history.replaceState(null, "", "/ui/sign-in?back=%2Fkeys#key=phk_abc-_1");
  takeKey();
  expect(takenKey()).toBe("phk_abc-_1");
  expect(window.location.href).toMatch(/\/ui\/sign-in\?back=%2Fkeys$/);
});

it("leaves other fragments and other pages alone", () => {
  window.history.replaceState(null, "", "/ui/setup#token=phl_1&key=x");
  takeKey();
  expect(takenKey()).toBeUndefined();
  expect(window.location.hash).toBe("#token=phl_1&key=x");
});

it("names browsers as people do", () => {
  expect(browserOf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36")).toBe("Chrome on Linux");
  expect(browserOf("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15")).toBe("Safari on macOS");
  expect(browserOf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0")).toBe("Edge on Windows");
  expect(browserOf("curl/8.5.0")).toBe("curl");
  expect(browserOf("something else")).toBe("something else");
  expect(browserOf(null)).toBe("unknown");
});
