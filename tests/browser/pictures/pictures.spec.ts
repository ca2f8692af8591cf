/**
 * Takes a picture of every page, and of what opens over pages, into dashboard/screenshots: light,
 * dark and on a phone, the busiest on a tablet and a wide screen too. Nothing is judged here but that all
 * of it comes; look at them.
 */
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test as base, type Browser, type BrowserContextOptions, type Page } from "@playwright/test";
import { furnish, type Furnished } from "../support/furnished";
import { OPENED, openOver } from "../support/opened";
import { PLACES, settled, visit, type Place } from "../support/places";
import { Relay } from "../support/relay";
import { Demo } from "./demo";

const HERE = fileURLToPath(new URL("../../../", import.meta.url));
const PICTURES = `${HERE}dashboard/screenshots`;
/** Of the README, by README=1. */
const ISSUED = process.env["README"] ? `${HERE}docs/images` : undefined;

const LOOKS: Record<string, BrowserContextOptions> = {
  light: { colorScheme: "light", viewport: { width: 1360, height: 860 } },
  dark: { colorScheme: "dark", viewport: { width: 1360, height: 860 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
};
const MORE_LOOKS: Record<string, BrowserContextOptions> = {
  tablet: { colorScheme: "light", viewport: { width: 820, height: 1_180 } },
  wide: { colorScheme: "dark", viewport: { width: 1_920, height: 1_080 } },
};
const BUSIEST = ["overview", "events", "event", "subscriptions", "subscription-cut", "subscription-long", "deliveries", "delivery-failed", "system"];

interface Shared {
  demo: Demo;
  made: Furnished;
  empty: Relay;
}

const test = base.extend<object, Shared>({
  demo: [async ({}, use) => {
    const demo = await Demo.start(process.env["LINK"]);
    await use(demo);
    await demo.stop();
  }, { scope: "worker", timeout: 120_000 }],
  made: [async ({ demo }, use) => {
    const made = await furnish(demo.admin);
    await use(made);
    await made.stop();
  }, { scope: "worker", timeout: 120_000 }],
  empty: [async ({}, use) => {
    const relay = await Relay.start("embedded");
    await use(relay);
    await relay.stop();
  }, { scope: "worker", timeout: 120_000 }],
});

/** All of the page, with its bars where they are on a screen that is as high. */
async function take(page: Page, name: string): Promise<void> {
  const window = page.viewportSize();
  if (!window) throw new Error("the page has no size");
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: window.width, height: Math.max(window.height, height) });
  await settled(page);
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
  await page.setViewportSize(window);
}

async function pageAt(browser: Browser, base: string, look: BrowserContextOptions, signIn?: (context: Awaited<ReturnType<Browser["newContext"]>>) => Promise<void>): Promise<Page> {
  const context = await browser.newContext({ baseURL: base, ...look });
  await signIn?.(context);
  return context.newPage();
}

test.beforeAll(async () => {
  await mkdir(PICTURES, { recursive: true });
});

/** First, while nothing is there but what a newcomer sees. */
test("the README's", async ({ browser, demo }) => {
  const page = await pageAt(browser, demo.base, LOOKS["light"] ?? {}, (context) => demo.signIn(context));
  await page.goto("/ui/");
  const inTrouble = page.getByRole("region", { name: "In trouble" }).getByRole("listitem").filter({ hasText: "Payroll" });
  // Once it has opened before these eyes, the last minutes are drawn too.
  await expect(page.getByRole("region", { name: "What happens" }).getByText("Breaker open").first()).toBeVisible({ timeout: 180_000 });
  await expect(inTrouble.getByText("Cut")).toBeVisible({ timeout: 180_000 });
  await settled(page);
  await page.screenshot({ path: `${PICTURES}/readme-overview.png` });
  if (ISSUED) await page.screenshot({ path: `${ISSUED}/overview.png` });
  await inTrouble.getByRole("link", { name: "Payroll" }).click();
  await expect(page.getByText("the breaker is open")).toBeVisible({ timeout: 180_000 });
  // Enough of the cool-down is left, and enough waits, to be seen.
  await expect(page.getByText(/probe in (1\d|[6-9]) s/).first()).toBeVisible({ timeout: 180_000 });
  await settled(page);
  await page.screenshot({ path: `${PICTURES}/readme-subscription.png` });
  if (ISSUED) await page.screenshot({ path: `${ISSUED}/subscription.png` });
  await page.context().close();
});

const EMPTY: readonly string[] = ["overview", "events", "subscriptions", "deliveries", "jobs", "event-types", "keys", "tenants", "users", "audit", "account", "sign-in"];
/** Links that are used up, or broken, and addresses of nothing. */
const STRAY = [["no-such-page", "/no-such-page"], ["no-such-delivery", "/deliveries/00000000-0000-7000-8000-000000000000"]] as const;

for (const [look, options] of Object.entries({ ...LOOKS, ...MORE_LOOKS })) {
  const places = look in LOOKS ? PLACES : PLACES.filter((place) => BUSIEST.includes(place.name));
  test(`pages, ${look}`, async ({ browser, demo, made }) => {
    const inside = await pageAt(browser, demo.base, options, (context) => demo.signIn(context));
    const outside = await pageAt(browser, demo.base, options);
    for (const place of places) {
      const page = place.isOutside ? outside : inside;
      await visit(page, onDemo(place), made);
      await take(page, `${look}-${place.name}`);
    }
    await inside.context().close();
    await outside.context().close();
  });
}

for (const [look, options] of Object.entries(LOOKS)) {
  test(`what opens, ${look}`, async ({ browser, demo, made }) => {
    const page = await pageAt(browser, demo.base, options, (context) => demo.signIn(context));
    for (const opened of OPENED) {
      await openOver(page, opened, made);
      await page.screenshot({ path: `${PICTURES}/${look}-over-${opened.name.replaceAll(/[^a-z]+/g, "-")}.png` });
    }
    await page.context().close();
  });

  test(`an empty relay, ${look}`, async ({ browser, empty }) => {
    const page = await pageAt(browser, empty.base, options, (context) => empty.signIn(context, { key: empty.admin.key }));
    for (const place of PLACES.filter((one) => EMPTY.includes(one.name))) {
      await page.goto(`/ui${place.path({} as Furnished)}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await settled(page);
      await take(page, `${look}-empty-${place.name}`);
    }
    for (const [name, path] of STRAY) {
      await page.goto(`/ui${path}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await settled(page);
      await take(page, `${look}-${name}`);
    }
    await page.context().close();
  });
}

/** Live traffic puts other things first. */
function onDemo(place: Place): Place {
  const types = /^(candidate|job|interview|assessment)\./;
  const shows = { overview: "In trouble", events: types, deliveries: types }[place.name];
  return shows ? { ...place, shows } : place;
}
