import { isSignedWith } from "../support/receiver";
import { panel } from "../support/seen";
import { expect, test } from "../support/test";

test("a secret is shown when it is asked for, and replaced with an overlap", async ({ page, admin, receiver, own }) => {
  const { id, secret: old } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await page.goto(`/ui/subscriptions/${id}`);
  const signing = panel(page, "Signing");
  await expect(page.getByText(old)).toHaveCount(0);
  await signing.getByRole("button", { name: "Show secret" }).click();
  await expect(signing.getByLabel("secret", { exact: true })).toHaveText(old);
  await signing.getByRole("button", { name: "Hide" }).click();
  await expect(page.getByText(old)).toHaveCount(0);

  await signing.getByRole("button", { name: "Rotate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("The old one signs on for").selectOption({ label: "1 hour" });
  await dialog.getByRole("button", { name: "Replace it" }).click();
  await expect(dialog.getByRole("heading", { name: "The secret is replaced" })).toBeVisible();
  await expect(dialog).toContainText(/The old one signs too for another (1 h|59 min)/);
  const fresh = (await dialog.getByLabel("secret", { exact: true }).textContent()) ?? "";
  expect(fresh).toMatch(/^whsec_/);
  expect(fresh).not.toBe(old);
  await dialog.getByRole("button", { name: "I have kept it" }).click();

  const during = await receiver.event(await admin.send(`${own}.during`));
  expect([isSignedWith(old, during), isSignedWith(fresh, during)]).toEqual([true, true]);
  await signing.getByRole("button", { name: "Show secret" }).click();
  await expect(signing.getByRole("listitem").filter({ hasText: "old" })).toContainText(old);

  // Without an overlap the old one ends at once.
  await signing.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByLabel("The old one signs on for").selectOption({ label: "None: the old one ends at once" });
  await dialog.getByRole("button", { name: "Replace it" }).click();
  await expect(dialog).toContainText("The old one signs no more.");
  const last = (await dialog.getByLabel("secret", { exact: true }).textContent()) ?? "";
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  const after = await receiver.event(await admin.send(`${own}.after`));
  expect([old, fresh, last].map((secret) => isSignedWith(secret, after))).toEqual([false, false, true]);

  // That it was shown, and replaced, is on record.
  await page.goto(`/ui/audit?thingId=${id}`);
  const log = page.getByRole("table", { name: "Audit log" });
  await expect(log.getByText("subscription.show_secret")).toHaveCount(2);
  await expect(log.getByText("subscription.rotate_secret")).toHaveCount(2);
});
