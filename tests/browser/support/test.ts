/** What journeys stand on: a relay with a real store, a browser that is watched, and receivers. */
import { randomBytes } from "node:crypto";
import { test as base, expect, type BrowserContextOptions, type Page } from "@playwright/test";
import type { Api, Profile } from "./api";
import { Receiver } from "./receiver";
import { Relay, type Who } from "./relay";
import { Watch } from "./watch";

export { expect };
export type { Page };

/** What projects of the configuration set. */
export interface Settings {
  profile: Profile;
}

interface Shared extends Settings {
  /** One for all tests of a worker: each has things of its own on it. */
  relay: Relay;
}

type Options = BrowserContextOptions & { at?: Relay };

interface Own {
  /** Whom `page` is signed in as: `test.use({ as: "viewer" })`. */
  as: Who;
  /** A word that only this test has, for names and types of its own. */
  own: string;
  admin: Api;
  receiver: Receiver;
  /** A page of somebody else, with cookies of its own. */
  open: (as: Who, options?: Options) => Promise<Page>;
  /** A relay of the test's own, with nothing in it. */
  start: (settings?: Record<string, string>) => Promise<Relay>;
  watch: Watch;
}

export const test = base.extend<Own, Shared>({
  profile: ["embedded", { option: true, scope: "worker" }],
  relay: [async ({ profile }, use) => {
    const relay = await Relay.start(profile);
    await use(relay);
    await relay.stop();
  }, { scope: "worker", timeout: 60_000 }],

  as: ["admin", { option: true }],
  own: async ({}, use) => use(`t${randomBytes(4).toString("hex")}`),
  admin: async ({ relay }, use) => use(relay.admin),
  receiver: async ({}, use) => {
    const receiver = await Receiver.start();
    await use(receiver);
    await receiver.stop();
  },

  watch: [async ({}, use, info) => {
    const watch = new Watch();
    const before = new Map([...Relay.running].map((relay) => [relay, relay.output.length]));
    await use(watch);
    const faults = watch.verdict;
    for (const relay of Relay.running) {
      const output = relay.output.slice(before.get(relay) ?? 0);
      if (output.includes("panicked at")) faults.push("something in the relay panicked: its output is attached");
      if (faults.length > 0 || info.status !== info.expectedStatus) await info.attach("relay.log", { body: output, contentType: "text/plain" });
    }
    expect(faults, "the console, the policy and the network").toEqual([]);
  }, { auto: true }],

  start: async ({ profile }, use) => {
    const relays: Relay[] = [];
    await use(async (settings = {}) => {
      const relay = await Relay.start(profile, settings);
      relays.push(relay);
      return relay;
    });
    for (const relay of relays) await relay.stop();
  },

  open: async ({ browser, relay, watch }, use) => {
    const pages: Page[] = [];
    await use(async (as, { at = relay, ...options } = {}) => {
      const context = await browser.newContext({ baseURL: at.base, ...options });
      await watch.follow(context, options.baseURL ?? at.base);
      await at.signIn(context, as);
      const page = await context.newPage();
      pages.push(page);
      return page;
    });
    watch.end();
    for (const page of pages) await page.context().close();
  },

  page: async ({ open, as }, use) => use(await open(as)),
});
