import { defineConfig } from "@playwright/test";
import { given } from "../support/environment";

/** Pictures of all pages, for people to look at: `make screenshots`. */
export default defineConfig({
  testDir: ".",
  outputDir: "../results",
  workers: 1,
  timeout: 600_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    launchOptions: { executablePath: given("POSTHASTE_TEST_CHROMIUM") },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    trace: "retain-on-failure",
    // A picture is of one moment.
    reducedMotion: "reduce",
  },
});
