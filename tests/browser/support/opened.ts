/** What opens over a page: menus, dialogs, drawers, the palette, suggestions and notices. */
import { expect, type Locator, type Page } from "@playwright/test";
import type { Furnished } from "./furnished";
import { settled } from "./places";

export interface Opened {
  name: string;
  path: (made: Furnished) => string;
  open: (page: Page) => Promise<unknown>;
  /** What is there then. */
  shows: (page: Page) => Locator;
}

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });

export const OPENED: readonly Opened[] = [
  {
    name: "the account's menu", path: () => "/",
    open: (page) => button(page, /^(Account: )?(The )?admin/).click(),
    shows: (page) => page.getByRole("menu"),
  },
  {
    name: "the palette", path: () => "/",
    open: async (page) => page.keyboard.press("Control+k"),
    shows: (page) => page.getByRole("listbox", { name: "Commands" }),
  },
  {
    name: "the palette, searching", path: () => "/",
    open: async (page) => { await page.keyboard.press("Control+k"); await page.keyboard.type("00000000-0000-7000-8000-000000000000"); },
    shows: (page) => page.getByRole("option", { name: "Open the event with this id" }),
  },
  {
    name: "the help", path: () => "/",
    open: async (page) => page.keyboard.press("?"),
    shows: (page) => page.getByRole("dialog", { name: "Keyboard" }),
  },
  {
    name: "a subscription's menu", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: (page) => button(page, "More").first().click(),
    shows: (page) => page.getByRole("menuitem", { name: "Edit" }),
  },
  {
    name: "delete by name", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Delete…" }).click(); },
    shows: (page) => page.getByRole("dialog", { name: "Delete the subscription" }),
  },
  {
    name: "a replay's preview", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Replay events…" }).click(); },
    shows: (page) => page.getByRole("dialog", { name: "Replay events" }),
  },
  {
    name: "a test send", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: async (page) => { await button(page, "Test").click(); await button(page, "Send it").click(); },
    shows: (page) => page.getByRole("dialog").getByText("200"),
  },
  {
    name: "a secret that is shown", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: (page) => button(page, "Show secret").click(),
    shows: (page) => button(page, "Hide"),
  },
  {
    name: "a secret that is replaced", path: (made) => `/subscriptions/${made.subscriptions.healthy}`,
    open: (page) => button(page, "Rotate").click(),
    shows: (page) => page.getByRole("dialog", { name: "Replace the secret" }),
  },
  {
    name: "reactivate", path: (made) => `/subscriptions/${made.subscriptions.deactivated}`,
    open: (page) => button(page, "Reactivate…").click(),
    shows: (page) => page.getByRole("dialog"),
  },
  {
    name: "a selection of deliveries", path: () => "/deliveries",
    open: async (page) => page.getByRole("checkbox").nth(1).check(),
    shows: (page) => page.getByRole("region", { name: "Selection" }),
  },
  {
    name: "sending a selection again", path: () => "/deliveries",
    open: async (page) => { await page.getByRole("checkbox").nth(1).check(); await button(page, "Send again…").click(); },
    shows: (page) => page.getByRole("dialog"),
  },
  {
    name: "suggestions", path: () => "/events",
    open: async (page) => page.getByRole("combobox", { name: "Type" }).click(),
    shows: (page) => page.getByRole("option", { name: /order\.created/ }),
  },
  {
    name: "make a key", path: () => "/keys",
    open: (page) => button(page, "Make a key").click(),
    shows: (page) => page.getByRole("dialog", { name: "Make a key" }),
  },
  {
    name: "a key that was made", path: () => "/keys",
    open: async (page) => { await button(page, "Make a key").click(); await page.getByRole("textbox", { name: "Name" }).fill("Looked at"); await page.getByRole("dialog").getByRole("button", { name: "Make the key" }).click(); },
    shows: (page) => page.getByRole("dialog", { name: /Looked at/ }),
  },
  {
    name: "invite somebody", path: () => "/users",
    open: (page) => button(page, "Invite somebody").click(),
    shows: (page) => page.getByRole("dialog"),
  },
  {
    name: "a user", path: () => "/users",
    open: async (page) => page.getByText("Grace Hopper").first().click(),
    shows: (page) => page.getByRole("dialog", { name: "Grace Hopper" }).getByText("Sessions"),
  },
  {
    name: "register a tenant", path: () => "/tenants",
    open: (page) => button(page, "Register a tenant").click(),
    shows: (page) => page.getByRole("dialog"),
  },
  {
    name: "an entry of the audit log", path: () => "/audit?action=tenant.create",
    open: async (page) => page.getByText("tenant.create").first().click(),
    shows: (page) => page.getByRole("dialog").getByText("What was given"),
  },
  {
    name: "a job", path: () => "/jobs",
    open: async (page) => page.getByRole("row").last().click(),
    shows: (page) => page.getByRole("dialog").getByText("Pace"),
  },
  {
    name: "a notice", path: (made) => `/deliveries/${made.failed}`,
    open: async (page) => { await button(page, "More").first().click(); await page.getByRole("menuitem", { name: "Copy id" }).click(); },
    shows: (page) => page.getByRole("listitem").filter({ hasText: /is copied|does not allow/ }),
  },
];

/** Goes there and opens it. */
export async function openOver(page: Page, { path, open, shows }: Opened, made: Furnished): Promise<void> {
  await page.goto(`/ui${path(made)}`);
  await expect(page.getByRole("button", { name: /^Live\./ })).toBeVisible();
  await settled(page);
  await open(page);
  await expect(shows(page).first()).toBeVisible();
  await settled(page);
}
