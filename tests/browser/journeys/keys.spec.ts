import { rows, toast } from "../support/seen";
import { expect, test } from "../support/test";

test("a key is made, shown once, and revoked: who uses it is refused at once", async ({ page, admin, own }) => {
  await page.goto("/ui/keys");
  await page.getByRole("button", { name: "Make a key" }).first().click();
  const making = page.getByRole("dialog", { name: "Make a key" });
  await making.getByRole("button", { name: "Make the key" }).click();
  await expect(making.getByText("Say what it is for, such as orders-service")).toBeVisible();
  await making.getByLabel("Name").fill(own);
  await making.getByRole("button", { name: "Make the key" }).click();
  const shown = page.getByRole("dialog", { name: `The key “${own}”` });
  const key = await shown.getByLabel("Key", { exact: true }).inputValue();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await shown.getByRole("button", { name: "Copy", exact: true }).click();
  await expect(shown.getByRole("button", { name: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
  await shown.getByRole("button", { name: "Done" }).click();
  await expect(rows(page, "Keys", own)).toContainText("service");
  expect(await page.content()).not.toContain(key);

  const theirs = admin.with(key);
  expect((await theirs.ask("POST", "/api/v1/events", { eventType: `${own}.created`, payload: {} })).status).toBe(202);
  expect((await theirs.ask("GET", "/api/v1/subscriptions")).status).toBe(403);

  await page.getByRole("button", { name: `Revoke ${own}` }).click();
  const revoking = page.getByRole("dialog", { name: "Revoke the key" });
  await expect(revoking.getByRole("button", { name: "Revoke for good" })).toBeDisabled();
  await revoking.getByRole("textbox").fill(own);
  await revoking.getByRole("button", { name: "Revoke for good" }).click();
  await expect(toast(page, `${own} is revoked`)).toBeVisible();
  await expect(rows(page, "Keys", own)).toContainText("Revoked");
  const refused = await theirs.ask<{ code: string }>("POST", "/api/v1/events", { eventType: `${own}.created`, payload: {} });
  expect([refused.status, refused.body.code]).toEqual([401, "key-ended"]);
});
