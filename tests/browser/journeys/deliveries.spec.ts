import { ONE_ATTEMPT } from "../support/api";
import { livingCard, panel, rows, toast, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test.use({ as: "operator" });

test("one that failed says why, and is sent again from its page", async ({ page, admin, receiver, own }) => {
  receiver.answers({ status: 500, headers: { "content-type": "application/json" }, body: '{"error":"no such table"}' });
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], ...ONE_ATTEMPT });
  const event = await admin.send(`${own}.created`, { jobId: "1" });
  await page.goto(`/ui/deliveries?subscriptionId=${id}`);
  await rows(page, "Deliveries", `${own}.created`).getByText("Failed").click();
  await expect(page.getByRole("heading", { level: 1, name: `${own}.created` })).toBeVisible();
  await untilLive(page);
  await expect(page.getByText(/All attempts of its schedule are used up/)).toBeVisible();
  const attempts = panel(page, "Attempts");
  await expect(attempts.getByText("The receiver failed inside.")).toBeVisible();
  await expect(attempts.getByLabel("answer", { exact: true })).toContainText("no such table");
  await expect(attempts.getByRole("img", { name: /^Of .* First byte / })).toBeVisible();
  await attempts.getByRole("tab", { name: "Headers as sent" }).click();
  await expect(attempts.getByLabel("Headers as sent").getByText(event)).toBeVisible();
  await expect(page.getByLabel("body as sent", { exact: true })).toContainText('"jobId": "1"');

  receiver.answers(204);
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(toast(page, "It is being sent now")).toBeVisible();
  await expect(page.getByText("The receiver took it, after 2 attempts.")).toBeVisible();
  await expect(attempts.getByRole("button", { name: /^Attempt 2 204/ })).toBeVisible();
  const [first, second] = await receiver.count(2);
  expect(second?.id).toBe(first?.id);
  expect(second?.body).toBe(first?.body);
});

test("one that waits for its retry counts down, and can be sent now or cancelled", async ({ page, admin, receiver, own }) => {
  receiver.answers("drop");
  const retryPolicy = { delaysMs: [3_600_000], jitter: 0 };
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], retryPolicy });
  await admin.send(`${own}.created`);
  await receiver.count(1);
  await expect.poll(async () => (await admin.deliveries(id))[0]?.attemptCount).toBe(1);
  const [delivery] = await admin.deliveries(id);
  await page.goto(`/ui/deliveries/${delivery?.id}`);
  await expect(page.getByText(/Next attempt in (1 h|59 min)/)).toBeVisible();
  await expect(page.getByText(/The connection broke before there was a whole answer/)).toBeVisible();
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("dialog", { name: "Cancel this delivery" }).getByRole("button", { name: "Keep it" }).click();
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel the delivery" }).click();
  await expect(toast(page, "The delivery is cancelled")).toBeVisible();
  await expect(page.getByText(/Somebody cancelled it/)).toBeVisible();
  expect((await admin.deliveries(id))[0]?.status).toBe("cancelled");
});

test("many that failed are sent again: a few one by one, more as a job that is watched", async ({ page, admin, receiver, own }) => {
  receiver.answers(500);
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], ...ONE_ATTEMPT });
  await admin.sendMany(`${own}.created`, 16);
  await expect.poll(async () => (await admin.deliveries(id, "&status=failed")).length).toBe(16);
  receiver.answers(204);
  await page.goto(`/ui/deliveries?subscriptionId=${id}`);
  await expect(rows(page, "Deliveries")).toHaveCount(16);

  // Three by the keyboard: Space, then on with Shift.
  const first = rows(page, "Deliveries").first();
  await first.focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  const selection = page.getByRole("region", { name: "Selection" });
  await expect(selection).toContainText("3 selected");
  await selection.getByRole("button", { name: "Send again…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send 3 deliveries" }).click();
  const work = page.getByRole("region", { name: "Work in progress" });
  await expect(work).toContainText("3 of 3 sent");
  await expect(rows(page, "Deliveries", "Delivered")).toHaveCount(3);

  // The others as a job.
  await page.goto(`/ui/deliveries?subscriptionId=${id}&status=failed`);
  await expect(rows(page, "Deliveries")).toHaveCount(13);
  await page.getByRole("checkbox", { name: "Select all that are shown" }).click();
  await selection.getByRole("button", { name: "Send again…" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("list", { name: "Jobs" })).toContainText("13 events, 100 a second");
  await dialog.getByRole("button", { name: "Start 1 job" }).click();
  await expect(work).toContainText("13 of 13 sent on");
  await expect(work).toContainText("Completed");
  await expect.poll(async () => (await admin.deliveries(id, "&status=delivered")).length).toBe(16);
  expect(new Set(receiver.all.map((one) => one.id)).size).toBe(16);
  await work.getByRole("link").click();
  await expect(page.getByRole("dialog", { name: `Replay for ${own}` })).toContainText("13 events, named");
});

test("many that wait are cancelled; those that have ended are left alone", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await receiver.event(await admin.send(`${own}.before`));
  await expect.poll(async () => (await admin.deliveries(id, "&status=delivered")).length).toBe(1);
  await admin.post(`/api/v1/subscriptions/${id}/pause`);
  await admin.sendMany(`${own}.created`, 6);
  await page.goto(`/ui/deliveries?subscriptionId=${id}`);
  await expect(rows(page, "Deliveries")).toHaveCount(7);
  await page.getByRole("checkbox", { name: "Select all that are shown" }).click();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Cancel…" }).click();
  const dialog = page.getByRole("dialog", { name: "Cancel 6 pending deliveries" });
  await expect(dialog).toContainText("One of those selected has ended already and is left alone.");
  await dialog.getByRole("button", { name: "Cancel 6 deliveries" }).click();
  await expect(page.getByRole("region", { name: "Work in progress" })).toContainText("6 of 6 cancelled");
  await expect(rows(page, "Deliveries", "Cancelled")).toHaveCount(6);
  await expect(rows(page, "Deliveries", "Delivered")).toHaveCount(1);
  expect(await admin.deliveries(id, "&status=cancelled")).toHaveLength(6);
});

test("events are replayed after a preview, with their progress", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await admin.sendMany(`${own}.created`, 30);
  await receiver.count(30);
  await expect.poll(async () => (await admin.deliveries(id, "&status=delivered")).length).toBe(30);
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Replay events…" }).click();
  const dialog = page.getByRole("dialog", { name: "Replay events" });
  await expect(dialog.getByRole("button", { name: "Replay", exact: true })).toBeDisabled();
  await dialog.getByRole("textbox", { name: "Pace" }).fill("20");
  await dialog.getByRole("button", { name: "Preview" }).click();
  await expect(dialog.getByRole("status")).toContainText("30 events, 20 a second");
  // Of what stands in the fields, or of nothing.
  await dialog.getByRole("textbox", { name: "Pace" }).fill("10");
  await expect(dialog.getByRole("status")).toBeHidden();
  await dialog.getByRole("button", { name: "Preview" }).click();
  await dialog.getByRole("button", { name: "Replay 30" }).click();
  await expect(toast(page, "The replay begins")).toBeVisible();
  const work = panel(page, "Bulk work");
  await expect(work.getByRole("progressbar", { name: "Replay" })).toBeVisible();
  await expect(work).toContainText("30 of 30");
  await expect(work).toContainText("completed");
  await receiver.count(60);
  await expect(livingCard(page).getByRole("img", { name: /^0 pending/ })).toBeVisible();
});

test("an endless list holds what is seen, however far one scrolls", async ({ page, admin, receiver, own }) => {
  // Twenty pages are read one after the other: on a busy machine that takes its time.
  test.slow();
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await admin.post(`/api/v1/subscriptions/${id}/pause`);
  await admin.sendMany(`${own}.created`, 2_000);
  await page.goto(`/ui/deliveries?subscriptionId=${id}`);
  const drawn = rows(page, "Deliveries");
  await expect(drawn.first()).toBeVisible();
  await drawn.first().hover();
  const counts: number[] = [];
  const isAtEnd = page.getByText("That is all.");
  await expect(async () => {
    await page.mouse.wheel(0, 12_000);
    counts.push(await drawn.count());
    await expect(isAtEnd).toBeVisible({ timeout: 100 });
  }).toPass({ intervals: [50], timeout: 120_000 });
  await expect(page.getByRole("table", { name: "Deliveries" })).toHaveAttribute("aria-rowcount", "2001");
  // The last page has just come: its end is further down.
  await expect(async () => {
    await page.mouse.wheel(0, 12_000);
    await expect(page.locator('[data-index="1999"]')).toBeVisible({ timeout: 100 });
  }).toPass({ intervals: [50] });
  expect(Math.max(...counts)).toBeLessThan(100);
  expect(await drawn.count()).toBeLessThan(100);
});
