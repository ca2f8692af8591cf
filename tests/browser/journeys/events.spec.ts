import { isSignedWith } from "../support/receiver";
import { panel, rows, stays, toast, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test.use({ as: "operator" });

test("what is sent from the form arrives live in every list, and signed at its receiver", async ({ page, open, admin, receiver, own }) => {
  const type = `${own}.created`;
  const { secret } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  const [events, deliveries] = [await open("operator"), await open("operator")];
  await events.goto("/ui/events");
  await deliveries.goto("/ui/deliveries");
  await Promise.all([untilLive(events), untilLive(deliveries)]);
  const stayed = await Promise.all([stays(events), stays(deliveries)]);

  await page.goto("/ui/events/send");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByText("Say what happened, such as job.created")).toBeVisible();
  await page.getByLabel("Payload").fill('{"orderId": ');
  await page.getByLabel("Type").fill(type);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText(/JSON/);
  // A number that JavaScript cannot hold goes out as it was typed.
  await page.getByLabel("Payload").fill('{"orderId": 12345678901234567890, "price": 1.10}');
  await page.getByLabel("Name").fill("The first order");
  await page.getByRole("button", { name: "Send", exact: true }).click();

  await expect(toast(page, "It is stored, and on its way")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: type })).toBeVisible();
  await expect(page.getByLabel("payload", { exact: true })).toContainText("12345678901234567890");
  const delivered = panel(page, "Deliveries");
  await expect(delivered.getByRole("link", { name: "Delivered" })).toBeVisible();
  await expect(delivered.getByText("1 attempt")).toBeVisible();

  await expect(rows(events, "Events", type)).toContainText("The first order");
  await expect(rows(deliveries, "Deliveries", type)).toContainText("Delivered");
  for (const still of stayed) await still();

  const id = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  const received = await receiver.event(id);
  expect(received.body).toContain("12345678901234567890");
  expect(received.body).toContain("1.10");
  expect(isSignedWith(secret, received)).toBe(true);
});

test("an event tells where it went, and why not elsewhere", async ({ page, admin, receiver, own }) => {
  await admin.subscribe({ name: `${own} wants`, url: receiver.url, eventTypes: [`${own}.paid`] });
  await admin.subscribe({ name: `${own} does not`, url: receiver.url, eventTypes: [`${own}.refunded`] });
  const id = await admin.send(`${own}.paid`, { total: 7 });
  await receiver.event(id);
  await page.goto(`/ui/events/${id}`);
  await expect(panel(page, "Deliveries")).toContainText(`${own} wants`);
  const why = panel(page, "Why it did not go elsewhere");
  await expect(why.getByRole("listitem").filter({ hasText: `${own} does not` })).toContainText(`${own}.refunded`);

  // Sent again, it is the same message.
  await page.getByRole("button", { name: "Send again" }).first().click();
  await expect(toast(page, "It is sent again")).toBeVisible();
  const [first, second] = await receiver.count(2);
  expect(second?.id).toBe(first?.id);
  expect(second?.body).toBe(first?.body);
  await expect(panel(page, "Deliveries").getByText("2 attempts")).toBeVisible();
});

test("the tail can be paused: what comes waits, and is shown then", async ({ page, admin, own }) => {
  await admin.send(`${own}.before`);
  await page.goto("/ui/events");
  await untilLive(page);
  await expect(rows(page, "Events", `${own}.before`)).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  for (const number of [1, 2, 3]) await admin.send(`${own}.during${number}`);
  const show = page.getByRole("button", { name: "Show 3 new" });
  await expect(show).toBeVisible();
  await expect(rows(page, "Events", `${own}.during`)).toHaveCount(0);
  await show.click();
  await expect(rows(page, "Events", `${own}.during`)).toHaveCount(3);
  await admin.send(`${own}.after`);
  await expect(rows(page, "Events", `${own}.after`)).toBeVisible();
});

test("filters stand in the address, and what they find is what the relay finds", async ({ page, admin, own }) => {
  await admin.send(`${own}.created`, { orderId: 7, city: `Oslo-${own}` });
  await admin.send(`${own}.created`, { orderId: 8 }, { source: "shop" });
  await page.goto("/ui/events");
  const search = page.getByRole("searchbox", { name: "Search events" });
  await search.fill(`Oslo-${own}`);
  await search.press("Enter");
  await expect(page).toHaveURL(/[?&]q=Oslo-/);
  await expect(rows(page, "Events", own)).toHaveCount(1);
  await page.goto(`/ui/events?eventType=${own}.created&source=shop`);
  await expect(rows(page, "Events", own)).toHaveCount(1);
  await page.getByRole("textbox", { name: "Source" }).fill("nobody");
  await page.getByRole("textbox", { name: "Source" }).press("Enter");
  await expect(page.getByRole("heading", { name: "No event matches" })).toBeVisible();
  await page.goBack();
  await page.goto(`/ui/events?eventType=${own}.created`);
  await expect(rows(page, "Events", own)).toHaveCount(2);
});
