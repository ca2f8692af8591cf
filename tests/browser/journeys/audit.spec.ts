import { PASSWORD } from "../support/relay";
import { rows, toast } from "../support/seen";
import { expect, test } from "../support/test";

test("the audit log shows who did what, and no secret", async ({ page, open, admin, receiver, own }) => {
  const who = { email: `${own}@example.com`, password: PASSWORD };
  await admin.post("/api/v1/users", { email: who.email, name: "Grace", role: "operator", password: PASSWORD });
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], headers: { authorization: "Bearer hush-hush" } });
  const theirs = await open(who);
  await theirs.goto(`/ui/subscriptions/${id}`);
  await theirs.getByRole("button", { name: "Pause" }).click();
  await expect(toast(theirs, `${own} is paused`)).toBeVisible();
  await theirs.getByRole("button", { name: "Resume" }).click();
  await expect(toast(theirs, `${own} is active`)).toBeVisible();

  await page.goto("/ui/audit");
  const filter = page.getByRole("searchbox", { name: "Who" });
  await filter.fill(who.email);
  await filter.press("Enter");
  const log = rows(page, "Audit log");
  await expect(log).toHaveCount(3);
  await expect(log.nth(0)).toContainText("subscription.resume");
  await expect(log.nth(1)).toContainText("subscription.pause");
  await expect(log.nth(2)).toContainText("session.create");

  await log.nth(0).click();
  const entry = page.getByRole("dialog", { name: "subscription.resume" });
  await expect(entry).toContainText(who.email);
  await entry.getByRole("button", { name: "everything done to it" }).click();
  await expect(page).toHaveURL(new RegExp(id));
  await page.getByRole("button", { name: "All", exact: true }).click();
  await page.goto(`/ui/audit?thingId=${id}`);
  await expect(log).toHaveCount(3);
  await rows(page, "Audit log", "subscription.create").click();
  const made = page.getByRole("dialog", { name: "subscription.create" });
  await expect(made).toContainText("***");
  await expect(made).not.toContainText("hush-hush");
});
