import type { Locator } from "@playwright/test";
import type { Api } from "../support/api";
import type { Receiver } from "../support/receiver";
import { rows, toast } from "../support/seen";
import { expect, test, type Page } from "../support/test";

async function delivered(admin: Api, receiver: Receiver, own: string) {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  const event = await admin.send(`${own}.created`);
  await receiver.event(event);
  await expect.poll(async () => (await admin.deliveries(id)).map((one) => one.status)).toEqual(["delivered"]);
  const [delivery] = await admin.deliveries(id);
  return { subscription: id, event, delivery: delivery?.id ?? "" };
}

/** It is there, cannot be used, and says why to who hovers over it. */
async function isBarred(page: Page, control: Locator, reason: string): Promise<void> {
  await expect(control).toBeDisabled();
  await control.hover({ force: true });
  await expect(page.getByRole("tooltip", { name: reason })).toBeVisible();
  // As a hand does: not from one place to another at once.
  await page.mouse.move(0, 0, { steps: 3 });
  await expect(page.getByRole("tooltip")).toBeHidden();
}

/** What a page asks, with its cookie and its second token. */
async function asked(page: Page, method: string, path: string, data?: unknown): Promise<number> {
  const session = (await (await page.request.get("/api/v1/session")).json()) as { csrfToken: string };
  return (await page.request.fetch(path, { method, headers: { "x-csrf-token": session.csrfToken }, ...(data === undefined ? {} : { data }) })).status();
}

test.describe("a viewer", () => {
  test.use({ as: "viewer" });

  test("sees everything and changes nothing", async ({ page, admin, receiver, own }) => {
    const { subscription, event, delivery } = await delivered(admin, receiver, own);
    await page.goto("/ui/subscriptions");
    await isBarred(page, page.getByRole("button", { name: "Register" }), "The role viewer may not change subscriptions");
    await rows(page, "Subscriptions", own).click();
    await expect(page.getByRole("heading", { level: 1, name: own })).toBeVisible();
    for (const name of ["Test", "Pause", "Show secret", "Rotate", "Edit"]) await isBarred(page, page.getByRole("button", { name, exact: true }), "The role viewer may not change subscriptions");
    await page.getByRole("button", { name: "More" }).click();
    const items = page.getByRole("menuitem");
    await expect(items).toHaveCount(6);
    for (const item of await items.all()) {
      await expect(item).toBeDisabled();
      await expect(item).toContainText("The role viewer may not change");
    }
    await page.keyboard.press("Escape");

    await page.goto("/ui/events");
    await isBarred(page, page.getByRole("button", { name: "Send event" }), "The role viewer may not send events");
    // Forms are nothing to look at.
    for (const path of ["/ui/events/send", "/ui/subscriptions/new", `/ui/subscriptions/${subscription}/edit`, "/ui/new/event-type"]) {
      await page.goto(path);
      await expect(page.getByRole("heading", { level: 1, name: "This page is not open to you" })).toBeVisible();
    }
    await page.goto(`/ui/events/${event}`);
    const again = page.getByRole("button", { name: "Send again" });
    await expect(again.first()).toBeVisible();
    for (const one of await again.all()) await isBarred(page, one, "The role viewer may not change deliveries");
    await page.goto(`/ui/deliveries/${delivery}`);
    await isBarred(page, page.getByRole("button", { name: "Send again" }), "The role viewer may not change deliveries");
    await page.goto(`/ui/deliveries?subscriptionId=${subscription}`);
    await rows(page, "Deliveries", own).getByRole("checkbox").click();
    for (const name of ["Send again…", "Cancel…"]) await isBarred(page, page.getByRole("button", { name }), "The role viewer may not change deliveries");
    await page.goto("/ui/event-types");
    await isBarred(page, page.getByRole("button", { name: "Describe a type" }).first(), "The role viewer may not administer the relay");

    // The page bars what the relay refuses.
    const refused = [
      ["POST", `/api/v1/subscriptions/${subscription}/pause`], ["PATCH", `/api/v1/subscriptions/${subscription}`, { name: "mine" }], ["DELETE", `/api/v1/subscriptions/${subscription}`],
      ["GET", `/api/v1/subscriptions/${subscription}/secret`], ["POST", `/api/v1/deliveries/${delivery}/retry`], ["POST", "/api/v1/events", { eventType: "a.b", payload: {} }],
      ["POST", "/api/v1/event-types", { name: "a.b" }], ["GET", "/api/v1/users"], ["GET", "/api/v1/keys"], ["GET", "/api/v1/audit"], ["GET", "/api/v1/system"], ["GET", "/api/v1/tenants"],
    ] as const;
    for (const [method, path, data] of refused) expect(await asked(page, method, path, data), `${method} ${path}`).toBe(403);
  });
});

test.describe("an operator", () => {
  test.use({ as: "operator" });

  test("runs the relay, and does not administer it", async ({ page, admin, receiver, own }) => {
    const { subscription } = await delivered(admin, receiver, own);
    await page.goto("/ui/");
    const places = page.getByRole("navigation", { name: "Pages" }).getByRole("link");
    await expect(places).toHaveText(["Overview", "Events", "Subscriptions", "Deliveries", "Jobs", "Event types"]);
    // By its address a page is not open either, and asks the relay for nothing.
    for (const path of ["users", "keys", "audit", "tenants", "tenants/acme", "system", "new/event-type"]) {
      await page.goto(`/ui/${path}`);
      await expect(page.getByRole("heading", { level: 1, name: "This page is not open to you" })).toBeVisible();
      await expect(page.locator("#main")).toContainText("with the role operator");
    }
    await page.goto("/ui/event-types");
    await isBarred(page, page.getByRole("button", { name: "Describe a type" }).first(), "The role operator may not administer the relay");
    for (const [method, path, data] of [["POST", "/api/v1/users", { email: "eve@example.com", role: "admin" }], ["POST", "/api/v1/keys", { name: "mine", preset: "admin" }], ["GET", "/api/v1/system"]] as const) {
      expect(await asked(page, method, path, data), `${method} ${path}`).toBe(403);
    }
    await page.goto(`/ui/subscriptions/${subscription}`);
    await page.getByRole("button", { name: "Pause" }).click();
    await expect(toast(page, `${own} is paused`)).toBeVisible();
  });
});
