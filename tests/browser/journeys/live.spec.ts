import { rows, stays, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test("the relay is killed and comes back: the page says so, and shows what came meanwhile", async ({ start, open, receiver, own, watch }) => {
  // It waits for the page's own patience, then for its next try.
  test.slow();
  const relay = await start();
  const page = await open("admin", { at: relay });
  const { id } = await relay.admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  const details = await open("admin", { at: relay });
  await details.goto(`/ui/subscriptions/${id}`);
  await page.goto("/ui/events");
  await Promise.all([untilLive(page), untilLive(details)]);
  const stayed = await Promise.all([stays(page), stays(details)]);
  await relay.admin.send(`${own}.before`);
  await expect(rows(page, "Events", `${own}.before`)).toBeVisible();

  watch.expects(/net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/);
  await relay.kill();
  await expect(page.getByRole("button", { name: /^(Every 5 s|No answer)\./ })).toBeVisible();
  // What is there stays, and nobody is signed out.
  await expect(rows(page, "Events", `${own}.before`)).toBeVisible();
  await expect(details.getByText("the relay does not answer now")).toBeVisible();

  await relay.startAgain();
  await relay.admin.send(`${own}.meanwhile`);
  await expect(rows(page, "Events", `${own}.meanwhile`)).toBeVisible();
  await expect(details.getByRole("link", { name: `${own}.meanwhile` })).toBeVisible();
  await Promise.all([untilLive(page), untilLive(details)]);
  await relay.admin.send(`${own}.after`);
  await expect(rows(page, "Events", `${own}.after`)).toBeVisible();
  await expect(details.getByText("the relay does not answer now")).toBeHidden();
  for (const still of stayed) await still();
});

test("a page that nobody sees rests, and catches up when it is looked at again", async ({ page, admin, own }) => {
  await page.goto("/ui/events");
  await untilLive(page);
  await admin.send(`${own}.seen`);
  await expect(rows(page, "Events", `${own}.seen`)).toBeVisible();
  const becomes = (state: "hidden" | "visible") => page.evaluate((to) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => to });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
  await becomes("hidden");
  await expect(page.getByRole("button", { name: /^Resting\./ })).toBeVisible();
  await admin.send(`${own}.unseen`);
  await becomes("visible");
  await untilLive(page);
  await expect(rows(page, "Events", `${own}.unseen`)).toBeVisible();
});
