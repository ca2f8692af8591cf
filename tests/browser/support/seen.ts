/** What journeys look at again and again, by what people see of it. */
import { expect, type Locator, type Page } from "@playwright/test";

/** A notice in the corner. */
export function toast(page: Page, text: string | RegExp): Locator {
  return page.getByRole("region", { name: /^Notifications/ }).locator("li").filter({ hasText: text });
}

/** The subscription's actor as an instrument. */
export function livingCard(page: Page): Locator {
  return page.locator("section[aria-labelledby=living]");
}

/** Rows of a list that hold a text; its head is none. */
export function rows(page: Page, list: string, text: string | RegExp = /./): Locator {
  return page.getByRole("table", { name: list }).locator("[data-index]").filter({ hasText: text });
}

/** A panel of a page, by its heading. */
export function panel(page: Page, title: string): Locator {
  return page.getByRole("region", { name: title, exact: true });
}

/** What is there keeps itself up to date from now on. */
export async function untilLive(page: Page): Promise<void> {
  await expect(page.getByRole("button", { name: /^Live\./ })).toBeVisible();
}

/** The page was not loaded anew between two calls of what is returned. */
export async function stays(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(window, { stayed: true }));
  return async () => expect(await page.evaluate(() => "stayed" in window), "the page was loaded anew").toBe(true);
}
