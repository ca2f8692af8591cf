import { ADMIN_KEY } from "../support/relay";
import { panel, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test("the overview counts what flows, and names what is in trouble first", async ({ start, open, receiver, own }) => {
  const relay = await start();
  const page = await open("admin", { at: relay });
  await page.goto("/ui/");
  await untilLive(page);
  const well = await relay.admin.subscribe({ name: `${own} well`, url: receiver.url, eventTypes: [`${own}.well`] });
  await relay.admin.sendMany(`${own}.well`, 12);
  const states = panel(page, "States");
  await expect(states.getByRole("link", { name: "Delivered: 12" })).toBeVisible();
  await expect(states.getByRole("link", { name: "Pending: 0" })).toBeVisible();

  await relay.admin.post(`/api/v1/subscriptions/${well.id}/pause`);
  await relay.admin.sendMany(`${own}.well`, 5);
  await expect(states.getByRole("link", { name: "Pending: 5" })).toBeVisible();
  await expect(page.getByText("No subscription is in trouble.")).toBeVisible();
  await relay.admin.subscribe({ name: `${own} gone`, url: "http://127.0.0.1:9/", eventTypes: [`${own}.gone`], breaker: { consecutiveFailures: 2, coolDownMs: 60_000 }, maxInFlight: 1 });
  await relay.admin.sendMany(`${own}.gone`, 6);
  const trouble = panel(page, "In trouble");
  await expect(trouble.getByRole("listitem").first()).toContainText(`${own} gone`);
  await expect(trouble.getByRole("listitem").first()).toContainText(/probe in \d+/);

  await states.getByRole("link", { name: "Pending: 11" }).click();
  await expect(page).toHaveURL(/\/ui\/deliveries\?status=pending$/);
  await expect(page.getByRole("row").filter({ hasText: own })).toHaveCount(11);
});

test("many are in trouble at once: all of them are named", async ({ start, open, own }) => {
  const relay = await start();
  const names = Array.from({ length: 7 }, (_, number) => `${own} ${number}`);
  for (const name of names) await relay.admin.subscribe({ name, url: "http://127.0.0.1:9/", eventTypes: [`${own}.*`], breaker: { consecutiveFailures: 1, coolDownMs: 60_000 }, maxInFlight: 1 });
  const page = await open("admin", { at: relay });
  await page.goto("/ui/");
  await untilLive(page);
  await relay.admin.sendMany(`${own}.created`, 2);
  const trouble = panel(page, "In trouble").getByRole("listitem");
  await expect(trouble).toHaveCount(names.length);
  for (const name of names) await expect(trouble.filter({ hasText: name })).toBeVisible();
  await page.reload();
  await expect(trouble).toHaveCount(names.length);
});

test("the system page shows what runs and by which settings, and no secret", async ({ page, profile }) => {
  await page.goto("/ui/system");
  await expect(page.getByText(profile === "embedded" ? "embedded: one file, one process" : "distributed: Postgres and Redis")).toBeVisible();
  for (const part of ["Ingest", "Recorder", "Store"]) await expect(panel(page, "Health").getByText(part, { exact: true })).toBeVisible();
  await page.getByRole("tab", { name: "Settings in force" }).click();
  const search = page.getByRole("searchbox", { name: "Search settings" });
  await search.fill("admin_key");
  await expect(panel(page, "[auth]").getByRole("button", { name: /^admin_key/ })).toBeVisible();
  await expect(panel(page, "[auth]")).toContainText("POSTHASTE_ADMIN_KEY");
  expect(await page.content()).not.toContain(ADMIN_KEY);
  await search.fill("");
  await page.getByRole("switch", { name: "Only what is not the default" }).click();
  await expect(panel(page, "[limits]").getByRole("button", { name: /^sign_in_per_address/ })).toBeVisible();
  await expect(panel(page, "[retry]")).toBeHidden();
});
