/** Tests that look at pages: all on one furnished relay of the worker. */
import { test as base, type BrowserContextOptions, type Page } from "@playwright/test";
import { furnish, type Furnished } from "./furnished";
import { Relay, type Who } from "./relay";
import type { Settings } from "./test";
import { Watch } from "./watch";

interface Shared extends Settings {
  house: { relay: Relay; made: Furnished };
}

interface Own {
  watch: Watch;
  made: Furnished;
  /** A page of somebody on the furnished relay. */
  open: (as: Who, options?: BrowserContextOptions) => Promise<Page>;
}

export const test = base.extend<Own, Shared>({
  profile: ["embedded", { option: true, scope: "worker" }],
  house: [async ({ profile }, use) => {
    const relay = await Relay.start(profile);
    const made = await furnish(relay.admin);
    await use({ relay, made });
    await made.stop();
    await relay.stop();
  }, { scope: "worker", timeout: 90_000 }],
  made: async ({ house }, use) => use(house.made),
  watch: async ({}, use) => use(new Watch()),
  open: async ({ browser, house, watch }, use) => {
    const pages: Page[] = [];
    await use(async (as, options = {}) => {
      const context = await browser.newContext({ baseURL: house.relay.base, ...options });
      await watch.follow(context, house.relay.base);
      await house.relay.signIn(context, as);
      const page = await context.newPage();
      pages.push(page);
      return page;
    });
    watch.end();
    for (const page of pages) await page.context().close();
  },
  page: async ({ open }, use) => use(await open("admin")),
});
