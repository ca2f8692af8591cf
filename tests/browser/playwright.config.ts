import { defineConfig } from "@playwright/test";
import type { Settings } from "./support/test";
import { given } from "./support/environment";

export default defineConfig<object, Settings>({
  testDir: ".",
  testMatch: "journeys/*.spec.ts",
  outputDir: "results",
  // Each worker has a relay of its own, and each test things of its own on it.
  fullyParallel: true,
  workers: 2,
  // What passes at the second try is broken.
  retries: 0,
  forbidOnly: Boolean(process.env["CI"]),
  timeout: 90_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    // The system's: browsers are never downloaded.
    launchOptions: { executablePath: given("POSTHASTE_TEST_CHROMIUM") },
    viewport: { width: 1360, height: 860 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    actionTimeout: 15_000,
    navigationTimeout: 30_000,
    screenshot: "only-on-failure",
  },
  projects: [
    { name: "embedded", use: { profile: "embedded" } },
    // How pages look is the same on both.
    { name: "pages", testMatch: "pages/*.spec.ts", timeout: 120_000, use: { profile: "embedded" } },
    { name: "distributed", use: { profile: "distributed" } },
  ],
});
