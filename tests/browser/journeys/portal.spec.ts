import { rows, toast } from "../support/seen";
import { expect, test } from "../support/test";

test("a tenant's key shows what is the tenant's own, on every list and by no address else's", async ({ open, admin, receiver, own, watch }) => {
  const things = async (tenant: string) => {
    const { id } = await admin.subscribe({ name: `${tenant} hook`, url: receiver.url, eventTypes: [`${own}.*`], tenant });
    const event = await admin.send(`${own}.${tenant}`, {}, { tenant });
    await receiver.event(event);
    await expect.poll(async () => (await admin.deliveries(id)).map((one) => one.status)).toEqual(["delivered"]);
    const [delivery] = await admin.deliveries(id);
    return { tenant, subscription: id, event, delivery: delivery?.id ?? "" };
  };
  const [mine, theirs] = [await things(`${own}-acme`), await things(`${own}-other`)];
  const { key } = await admin.post<{ key: string }>("/api/v1/keys", { name: `${own} portal`, preset: "client", tenant: mine.tenant });
  const page = await open({ key });

  await page.goto("/ui/");
  await expect(page.getByRole("button", { name: `${own} portal` })).toContainText(`client of ${mine.tenant}`);
  const places = page.getByRole("navigation", { name: "Pages" }).getByRole("link");
  await expect(places).toHaveText(["Overview", "Events", "Subscriptions", "Deliveries", "Jobs", "Event types"]);

  for (const [list, path, seen] of [
    ["Events", "/ui/events", `${own}.${mine.tenant}`],
    ["Subscriptions", "/ui/subscriptions", `${mine.tenant} hook`],
    ["Deliveries", "/ui/deliveries", `${own}.${mine.tenant}`],
  ] as const) {
    await page.goto(path);
    await expect(rows(page, list)).toHaveCount(1);
    await expect(rows(page, list)).toContainText(seen);
  }
  await page.goto(`/ui/events?eventType=${own}.${theirs.tenant}`);
  await expect(page.getByRole("heading", { name: "No event matches" })).toBeVisible();

  // What is another's does not exist.
  for (const [path, what] of [[`/ui/events/${theirs.event}`, "This event"], [`/ui/subscriptions/${theirs.subscription}`, "This subscription"], [`/ui/deliveries/${theirs.delivery}`, "This delivery"]] as const) {
    watch.expects(new RegExp(`status of 404 .*${path.split("/").at(-1)}`));
    await page.goto(path);
    await expect(page.getByRole("alert").first()).toContainText(`${what} cannot be shown`);
  }
  for (const path of ["users", "tenants", "system", "audit"]) expect((await admin.with(key).ask("GET", `/api/v1/${path}`)).status).toBe(403);

  // Its own it may change.
  await page.goto(`/ui/subscriptions/${mine.subscription}`);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(toast(page, `${mine.tenant} hook is paused`)).toBeVisible();
  await toast(page, `${mine.tenant} hook is paused`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `${mine.tenant} hook is active`)).toBeVisible();
  await page.goto(`/ui/deliveries/${mine.delivery}`);
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(toast(page, "It is being sent now")).toBeVisible();
});
