import { expect, test } from "../support/test";
import { ADMIN_KEY, PASSWORD } from "../support/relay";

const title = "Sign in";

test("the first start's link makes the first user, once", async ({ start, open, watch }) => {
  const relay = await start();
  const page = await open("nobody", { at: relay });
  await page.goto("/");
  await expect(page).toHaveURL(/\/ui\/sign-in$/);
  await expect(page.getByText("Nobody has an account yet")).toBeVisible();

  await page.goto(relay.setupLink);
  await expect(page.getByRole("heading", { name: "Welcome" })).toBeVisible();
  await page.getByLabel("Name").fill("Ada");
  await page.getByLabel("E-mail").fill("ada@example.com");
  await page.getByLabel("Password").fill("short");
  watch.expects(/status of 400 .*\/api\/v1\/setup\)$/);
  await page.getByRole("button", { name: "Make the account" }).click();
  await expect(page.getByRole("alert")).toContainText("12");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Make the account" }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  expect(page.url()).not.toContain("token");
  await expect(page.getByRole("button", { name: "Ada" })).toContainText("admin");

  // The link is used up.
  const other = await open("nobody", { at: relay });
  await other.goto(relay.setupLink);
  await other.getByLabel("Name").fill("Eve");
  await other.getByLabel("E-mail").fill("eve@example.com");
  await other.getByLabel("Password").fill(PASSWORD);
  watch.expects(/status of 409 .*\/api\/v1\/setup\)$/);
  await other.getByRole("button", { name: "Make the account" }).click();
  await expect(other.getByRole("alert")).toBeVisible();
  await other.goto("/ui/");
  await expect(other.getByRole("heading", { name: title })).toBeVisible();
  await expect(other.getByText("Nobody has an account yet")).toBeHidden();
});

test("by e-mail and password, there and out again", async ({ admin, open, own, watch }) => {
  const email = `${own}@example.com`;
  await admin.post("/api/v1/users", { email, name: "Grace", role: "operator", password: PASSWORD });
  const page = await open("nobody");
  await page.goto("/ui/deliveries?status=failed");
  await expect(page.getByRole("heading", { name: title })).toBeVisible();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("not the password");
  watch.expects(/status of 401 .*\/api\/v1\/session\)$/);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("E-mail and password do not match.");

  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/ui\/deliveries\?status=failed$/);
  await expect(page.getByRole("heading", { name: "Deliveries" })).toBeVisible();

  await page.getByRole("button", { name: "Grace" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: title })).toBeVisible();
  await page.goto("/ui/deliveries");
  await expect(page).toHaveURL(/\/ui\/sign-in\?back=/);
});

test("by a key, typed or behind the # of a link", async ({ admin, open, own, relay, watch }) => {
  const page = await open("nobody");
  await page.goto("/ui/sign-in");
  await page.getByRole("button", { name: "API key" }).click();
  await page.getByRole("textbox", { name: "API key" }).fill("phk_of_nobody_at_all_0123456789");
  watch.expects(/status of 401 .*\/api\/v1\/session\)$/);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("This key is not valid here.");
  await page.getByRole("textbox", { name: "API key" }).fill(ADMIN_KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();

  const { key } = await admin.post<{ key: string }>("/api/v1/keys", { name: own, preset: "client", tenant: own });
  const other = await open("nobody");
  await other.goto(`${relay.base}/ui/sign-in#key=${key}`);
  await expect(other.getByRole("textbox", { name: "API key" })).toHaveValue(key);
  // It is in no address, and so in no history.
  expect(other.url()).toBe(`${relay.base}/ui/sign-in`);
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other.getByRole("button", { name: own })).toBeVisible();
  await other.goBack();
  expect(other.url()).not.toContain(key);

  // Who may not see the overview begins where they may be.
  const service = await admin.post<{ key: string }>("/api/v1/keys", { name: `${own} service`, preset: "service" });
  const third = await open("nobody");
  await third.goto(`${relay.base}/ui/sign-in#key=${service.key}`);
  await third.getByRole("button", { name: "Sign in" }).click();
  await expect(third.getByRole("heading", { name: "Events" })).toBeVisible();
});

test("who is signed out elsewhere signs in again and is back where they were", async ({ admin, open, own, watch }) => {
  const who = { email: `${own}@example.com`, password: PASSWORD };
  await admin.post("/api/v1/users", { email: who.email, name: "Linus", role: "operator", password: PASSWORD });
  const page = await open(who);
  await page.goto("/ui/subscriptions?state=active");
  await expect(page.getByRole("button", { name: /^Live\./ })).toBeVisible();

  const elsewhere = await open(who);
  await elsewhere.goto("/ui/account");
  const ends = elsewhere.getByRole("button", { name: /^End the session/ });
  await expect(ends).toHaveCount(2);
  await expect(elsewhere.getByText("this one")).toBeVisible();
  watch.expects(/status of 401 .*\/api\/v1\//);
  await elsewhere.getByRole("button", { name: /^End the session/, disabled: false }).click();
  await expect(ends).toHaveCount(1);

  await expect(page.getByRole("heading", { name: title })).toBeVisible();
  await page.getByLabel("E-mail").fill(who.email);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/ui\/subscriptions\?state=active$/);
  await expect(page.getByRole("heading", { name: "Subscriptions" })).toBeVisible();
});
