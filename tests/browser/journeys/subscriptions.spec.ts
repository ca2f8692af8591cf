import type { Page as ListOf, Subscription } from "../support/api";
import { isSignedWith } from "../support/receiver";
import { livingCard, rows, toast, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test.use({ as: "operator" });

test("registered with inline validation and a test send before it is saved", async ({ page, admin, receiver, own }) => {
  await page.goto("/ui/subscriptions/new");
  const register = page.getByRole("button", { name: "Register" });
  await register.click();
  await expect(page.getByText("3 fields need a look.")).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Name", exact: true })).toBeFocused();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(own);
  await page.getByRole("textbox", { name: "URL" }).fill("ftp://example.com");
  await expect(page.getByText("Must begin with https://")).toBeVisible();
  await page.getByRole("textbox", { name: "URL" }).fill(receiver.url);
  await expect(page.getByText("Must begin with https://")).toBeHidden();
  const patterns = page.getByRole("combobox", { name: "Add an event type or a pattern" });
  await patterns.fill("order!");
  await patterns.press("Enter");
  await expect(page.getByText(/“order!” must be segments/)).toBeVisible();
  await patterns.fill(`${own}.*`);
  await patterns.press("Enter");
  await expect(page.getByRole("button", { name: `Take ${own}.* away` })).toBeVisible();

  // The receiver is tried as it is, and nothing is stored.
  receiver.answers({ status: 500, body: "no such table" });
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("It was refused")).toBeVisible();
  await expect(page.getByText("no such table")).toBeVisible();
  receiver.answers(204);
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("It arrived")).toBeVisible();
  expect(receiver.all.map((one) => one.isTest)).toEqual([true, true]);
  const named = async () => (await admin.get<ListOf<Subscription>>("/api/v1/subscriptions?limit=100")).data.filter((one) => one.name === own);
  expect(await named()).toEqual([]);

  await register.click();
  await expect(page.getByRole("heading", { name: `${own} is registered` })).toBeVisible();
  const secret = (await page.getByLabel("secret", { exact: true }).textContent()) ?? "";
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByRole("heading", { level: 1, name: own })).toBeVisible();
  expect(await named()).toHaveLength(1);

  const received = await receiver.event(await admin.send(`${own}.created`, { jobId: "1" }));
  expect(isSignedWith(secret, received)).toBe(true);
  await expect(page.getByRole("heading", { name: "Recent deliveries" })).toBeVisible();
  await expect(page.getByRole("link", { name: `${own}.created` })).toBeVisible();
});

test("paused it holds what comes, resumed it sends it; a toast takes a pause back", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(livingCard(page).getByRole("heading", { name: "Paused" })).toBeVisible();
  await toast(page, `${own} is paused`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `${own} is active`)).toBeVisible();
  await expect(page.getByRole("button", { name: "Pause" })).toBeVisible();
  await expect.poll(async () => (await admin.get<Subscription>(`/api/v1/subscriptions/${id}`)).state).toBe("active");

  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("button", { name: "Resume" })).toBeVisible();
  await expect.poll(async () => (await admin.get<Subscription>(`/api/v1/subscriptions/${id}`)).state).toBe("paused");
  for (const number of [1, 2, 3]) await admin.send(`${own}.held`, { number });
  await expect(livingCard(page).getByRole("img", { name: /^3 pending/ })).toBeVisible();
  await expect(livingCard(page)).toContainText("3 wait; all of it is kept");
  expect(receiver.all).toHaveLength(0);

  await page.getByRole("button", { name: "Resume" }).click();
  await receiver.count(3);
  await expect(livingCard(page).getByRole("img", { name: /^0 pending/ })).toBeVisible();
  await expect(livingCard(page).getByRole("heading", { name: /Flowing|Idle/ })).toBeVisible();
});

test("what is shown before the relay answers is taken back where it refuses", async ({ open, admin, receiver, own, watch }) => {
  const who = { email: `${own}@example.com`, password: "correct horse battery" };
  const { id: user } = await admin.post<{ id: string }>("/api/v1/users", { email: who.email, name: own, role: "operator", password: who.password });
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  const page = await open(who);
  await page.goto(`/ui/subscriptions/${id}`);
  await untilLive(page);
  // The page does not know yet that its user may only look now.
  await admin.patch(`/api/v1/users/${user}`, { role: "viewer" });
  // The relay's own refusal, a moment later: so what was shown before can be seen.
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  await page.route("**/pause", async (route) => {
    await held;
    await route.continue();
  });
  watch.expects(/status of 403 .*\/pause\)$/);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(livingCard(page).getByRole("heading", { name: "Paused" })).toBeVisible();
  letGo();
  await expect(toast(page, "It was not paused")).toBeVisible();
  await expect(livingCard(page).getByRole("heading", { name: "Idle" })).toBeVisible();
  expect((await admin.get<Subscription>(`/api/v1/subscriptions/${id}`)).state).toBe("active");
});

test("an edit changes what was edited, and leaves what somebody else changed", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`], headers: { authorization: "Bearer hush" }, timeoutMs: 5000 });
  await page.goto(`/ui/subscriptions/${id}`);
  await page.getByRole("link", { name: "Edit" }).click();
  await expect(page.getByRole("heading", { name: `Edit ${own}` })).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Value of authorization" })).toHaveValue("");
  await admin.patch(`/api/v1/subscriptions/${id}`, { timeoutMs: 7000 });
  await expect(page.getByText("Somebody else changed it meanwhile.")).toBeVisible();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(`${own} renamed`);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(toast(page, `${own} renamed is changed`)).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: `${own} renamed` })).toBeVisible();
  const now = await admin.get<Subscription & { timeoutMs: number }>(`/api/v1/subscriptions/${id}`);
  expect(now).toMatchObject({ name: `${own} renamed`, timeoutMs: 7000 });
  // What is kept and was never shown is still sent.
  const received = await receiver.event(await admin.send(`${own}.created`));
  expect(received.headers["authorization"]).toBe("Bearer hush");
});

test("it is deleted by who types its name", async ({ page, admin, receiver, own, watch }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await admin.subscribe({ name: `${own} stays`, url: receiver.url, eventTypes: [`${own}.other`] });
  await page.goto(`/ui/subscriptions/${id}`);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete the subscription" });
  await expect(dialog.getByRole("button", { name: "Delete for good" })).toBeDisabled();
  await dialog.getByRole("textbox").fill(own.slice(1));
  await dialog.getByRole("textbox").press("Enter");
  await expect(dialog).toBeVisible();
  await dialog.getByRole("textbox").fill(own);
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await expect(toast(page, `${own} is deleted`)).toBeVisible();
  await expect(page).toHaveURL(/\/ui\/subscriptions$/);
  await expect(rows(page, "Subscriptions", own)).toHaveCount(1);
  await expect(rows(page, "Subscriptions", own)).toContainText(`${own} stays`);
  expect((await admin.ask("GET", `/api/v1/subscriptions/${id}`)).status).toBe(404);

  watch.expects(new RegExp(`status of 404 .*${id}`));
  await page.goto(`/ui/subscriptions/${id}`);
  await expect(page.getByRole("alert")).toContainText("This subscription cannot be shown");
});
