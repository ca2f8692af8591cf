/** What opens over a page: menus, dialogs, drawers, the palette, suggestions and notices. */
import { expect, type Page } from "@playwright/test";
import { accessibility, contrast, sideways, smallTargets } from "../support/eyes";
import { test } from "../support/furnished-test";
import type { Furnished } from "../support/furnished";
import { settled } from "../support/places";

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });

/** Name, page, how it is opened, and what is there then. */
const OPENED: readonly [name: string, path: (made: Furnished) => string, open: (page: Page) => Promise<void>, shows: (page: Page) => ReturnType<Page["getByRole"]>][] = [
  ["the account's menu", () => "/", (page) => button(page, /^(Account: )?The admin/).click(), (page) => page.getByRole("menu")],
  ["the palette", () => "/", async (page) => page.keyboard.press("Control+k"), (page) => page.getByRole("listbox", { name: "Commands" })],
  ["the palette, searching", () => "/", async (page) => { await page.keyboard.press("Control+k"); await page.keyboard.type("00000000-0000-7000-8000-000000000000"); }, (page) => page.getByRole("option", { name: "Open the event with this id" })],
  ["the help", () => "/", async (page) => page.keyboard.press("?"), (page) => page.getByRole("dialog", { name: "Keyboard" })],
  ["a subscription's menu", (made) => `/subscriptions/${made.subscriptions.healthy}`, (page) => button(page, "More").first().click(), (page) => page.getByRole("menuitem", { name: "Edit" })],
  ["delete by name", (made) => `/subscriptions/${made.subscriptions.healthy}`, async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Delete…" }).click(); }, (page) => page.getByRole("dialog", { name: "Delete the subscription" })],
  ["a replay's preview", (made) => `/subscriptions/${made.subscriptions.healthy}`, async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Replay events…" }).click(); }, (page) => page.getByRole("dialog", { name: "Replay events" })],
  ["a test send", (made) => `/subscriptions/${made.subscriptions.healthy}`, async (page) => { await button(page, "Test").click(); await button(page, "Send it").click(); }, (page) => page.getByRole("dialog").getByText("200")],
  ["a secret that is shown", (made) => `/subscriptions/${made.subscriptions.healthy}`, (page) => button(page, "Show secret").click(), (page) => button(page, "Hide")],
  ["a secret that is replaced", (made) => `/subscriptions/${made.subscriptions.healthy}`, (page) => button(page, "Rotate").click(), (page) => page.getByRole("dialog", { name: "Replace the secret" })],
  ["reactivate", (made) => `/subscriptions/${made.subscriptions.deactivated}`, (page) => button(page, "Reactivate…").click(), (page) => page.getByRole("dialog")],
  ["a selection of deliveries", () => "/deliveries", async (page) => page.getByRole("checkbox").nth(1).check(), (page) => page.getByRole("region", { name: "Selection" })],
  ["sending a selection again", () => "/deliveries", async (page) => { await page.getByRole("checkbox").nth(1).check(); await button(page, "Send again…").click(); }, (page) => page.getByRole("dialog")],
  ["suggestions", () => "/events", async (page) => page.getByRole("combobox", { name: "Type" }).click(), (page) => page.getByRole("option", { name: /job\.created/ })],
  ["make a key", () => "/keys", (page) => button(page, "Make a key").click(), (page) => page.getByRole("dialog", { name: "Make a key" })],
  ["a key that was made", () => "/keys", async (page) => { await button(page, "Make a key").click(); await page.getByRole("textbox", { name: "Name" }).fill("Looked at"); await page.getByRole("dialog").getByRole("button", { name: "Make it" }).click(); }, (page) => page.getByRole("dialog", { name: /Looked at/ })],
  ["invite somebody", () => "/users", (page) => button(page, "Invite somebody").click(), (page) => page.getByRole("dialog")],
  ["a user", () => "/users", async (page) => page.getByText("Grace Hopper").first().click(), (page) => page.getByRole("dialog", { name: "Grace Hopper" }).getByText("Sessions")],
  ["register a tenant", () => "/tenants", (page) => button(page, "Register a tenant").click(), (page) => page.getByRole("dialog")],
  ["an entry of the audit log", () => "/audit", async (page) => page.getByText("tenant.create").first().click(), (page) => page.getByRole("dialog").getByText("What was given")],
  ["a job", () => "/jobs", async (page) => page.getByRole("row").last().click(), (page) => page.getByRole("dialog").getByText("Pace")],
  ["a notice", (made) => `/deliveries/${made.failed}`, async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Copy id" }).click(); }, (page) => page.getByRole("listitem").filter({ hasText: /is copied|does not allow/ })],
];

for (const [name, path, opens, shows] of OPENED) {
  for (const [size, viewport] of [["desk", { width: 1360, height: 860 }], ["phone", { width: 390, height: 844 }]] as const) {
    test(`${name}, ${size}`, async ({ open, made }) => {
      const page = await open("admin", { viewport, colorScheme: "light" });
      await page.goto(`/ui${path(made)}`);
      await expect(page.getByRole("button", { name: /^Live\./ })).toBeVisible();
      await settled(page);
      await opens(page);
      await expect(shows(page).first()).toBeVisible();
      await settled(page);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
        expect.soft(await (colorScheme === "light" ? accessibility(page) : contrast(page)), `axe, ${colorScheme}`).toEqual([]);
      }
      expect.soft(await sideways(page), "sideways").toEqual([]);
      expect.soft(await smallTargets(page), "targets").toEqual([]);
    });
  }
}
