import { livingCard, toast, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test.use({ as: "operator" });

/** Opens soon, and probes often enough to be watched; one at a time, so that few go out before. */
const QUICK = {
  maxInFlight: 1,
  breaker: { consecutiveFailures: 3, coolDownMs: 4_000, coolDownMaxMs: 4_000, probes: 1 },
  retryPolicy: { delaysMs: Array.from({ length: 20 }, () => 500), jitter: 0 },
};

test("a receiver breaks: the breaker opens and counts down to its probe; mended, it closes and the backlog drains", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], ...QUICK });
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  const card = livingCard(page);
  await admin.send(`${own}.created`);
  await receiver.count(1);
  await expect(card.getByRole("img", { name: /^The breaker is closed/ })).toBeVisible();
  await expect(card.getByRole("img", { name: /no error on record/ })).toBeVisible();

  receiver.answers(500);
  await admin.sendMany(`${own}.created`, 40);
  await expect(card.getByRole("heading", { name: "Cut" })).toBeVisible();
  await expect(card.getByRole("img", { name: /^The breaker is open: nothing is sent/ })).toBeVisible();
  await expect(card.getByText(/^probe in \d+ s$/)).toBeVisible();
  await expect(card.getByRole("img", { name: /^40 pending/ })).toBeVisible();
  await expect(card.getByRole("img", { name: /last error 500/ })).toBeVisible();
  // A probe that fails opens it again.
  await expect(card.getByText(/opened 2× in a row/)).toBeVisible();
  expect(receiver.all.length).toBeLessThan(20);

  // The list has it, and the overview names it among those in trouble.
  await page.goto("/ui/subscriptions");
  await expect(page.getByRole("row").filter({ hasText: own })).toContainText("Cut");
  await page.goto("/ui/");
  await expect(page.getByRole("link", { name: own })).toBeVisible();
  await page.goto(`/ui/subscriptions/${id}`);

  receiver.answers(204);
  await expect(card.getByRole("heading", { name: /Flowing|Idle/ })).toBeVisible();
  await expect(card.getByRole("img", { name: /^The breaker is closed/ })).toBeVisible();
  await expect(card.getByRole("img", { name: /^0 pending/ })).toBeVisible();
  const ids = new Set(receiver.all.map((one) => one.id));
  expect(ids.size).toBe(41);
});

test("a rule deactivates it; the page says why, holds what comes, and brings it back", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  receiver.answers(410);
  const first = await admin.send(`${own}.created`);
  await receiver.event(first);
  await expect(page.getByText(/Deactivated .*the receiver answered 410: gone for good/)).toBeVisible();
  const card = livingCard(page);
  await expect(card.getByRole("heading", { name: "Deactivated" })).toBeVisible();
  const second = await admin.send(`${own}.created`);
  await expect(card).toContainText("held until it is reactivated");
  await expect(page.getByRole("region", { name: "History" })).toContainText("by a rule");

  receiver.answers(204);
  await page.getByRole("button", { name: "Reactivate…" }).click();
  const dialog = page.getByRole("dialog", { name: `Reactivate ${own}` });
  await expect(dialog.getByRole("button", { name: "Send it" })).toHaveAttribute("aria-pressed", "true");
  await dialog.getByRole("button", { name: "Reactivate" }).click();
  await expect(toast(page, `${own} is active`)).toBeVisible();
  await receiver.event(second);
  await expect(card.getByRole("heading", { name: /Flowing|Idle/ })).toBeVisible();
  await expect(page.getByRole("region", { name: "History" })).toContainText("by an operator");
  await expect(card.getByRole("img", { name: /^0 pending/ })).toBeVisible();
});

test("a receiver asks to be left alone: the card counts down, then it goes on", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], maxInFlight: 1 });
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  receiver.answers({ status: 429, headers: { "retry-after": "6" } });
  await admin.send(`${own}.created`);
  await receiver.count(1);
  receiver.answers(204);
  const second = await admin.send(`${own}.created`);
  const card = livingCard(page);
  await expect(card.getByRole("heading", { name: "Held" })).toBeVisible();
  await expect(card.getByText(/the receiver asked to be left alone; .* for another \d s/)).toBeVisible();
  expect(receiver.all).toHaveLength(1);
  await receiver.event(second);
  await expect(card.getByRole("heading", { name: /Flowing|Idle|Waiting/ })).toBeVisible();
});
