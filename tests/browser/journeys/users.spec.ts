import { PASSWORD } from "../support/relay";
import { rows, toast, untilLive } from "../support/seen";
import { expect, test } from "../support/test";

test("invited, they set a password and come in; their role is changed, and they are kept out", async ({ page, open, admin, own, watch }) => {
  const email = `${own}@example.com`;
  await page.goto("/ui/users");
  await page.getByRole("button", { name: "Invite somebody" }).click();
  const invite = page.getByRole("dialog", { name: "Invite somebody" });
  await invite.getByLabel("E-mail").fill("nobody");
  await invite.getByRole("button", { name: "Make the invitation" }).click();
  await expect(invite.getByText("This is no e-mail address")).toBeVisible();
  await invite.getByLabel("E-mail").fill(email);
  await invite.getByRole("button", { name: "Viewer" }).click();
  await invite.getByRole("button", { name: "Make the invitation" }).click();
  const shown = page.getByRole("dialog", { name: /^A link for / });
  const link = await shown.getByLabel("Link").inputValue();
  // It is shown once: who closes it without a copy is asked again.
  await shown.getByRole("button", { name: "Close", exact: true }).last().click();
  await expect(shown.getByText("You have not copied it.")).toBeVisible();
  await shown.getByRole("button", { name: "Close without it" }).click();
  await expect(rows(page, "Users", email)).toContainText("Invited");

  const theirs = await open("nobody");
  await theirs.goto(link);
  await theirs.getByLabel("Name").fill(`Grace ${own}`);
  await theirs.getByLabel("Password").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Save, and sign in" }).click();
  await expect(theirs.getByRole("button", { name: `Grace ${own}` })).toContainText("viewer");
  expect(theirs.url()).not.toContain("token");
  await theirs.goto("/ui/subscriptions");
  await untilLive(theirs);

  await page.goto("/ui/users");
  const row = rows(page, "Users", email);
  await expect(row).toContainText("Active");
  await row.getByRole("button", { name: /^What to do with/ }).click();
  await page.getByRole("menuitem", { name: /^Operator/ }).click();
  await expect(toast(page, `Grace ${own} is operator now`)).toBeVisible();
  await expect(row).toContainText("operator");
  await theirs.reload();
  await expect(theirs.getByRole("button", { name: `Grace ${own}` })).toContainText("operator");
  await expect(theirs.getByRole("link", { name: "Register" }).first()).toBeVisible();

  await untilLive(theirs);
  watch.expects(/status of 401 .*\/api\/v1\//);
  await row.getByRole("button", { name: /^What to do with/ }).click();
  await page.getByRole("menuitem", { name: "Disable" }).click();
  await expect(toast(page, `Grace ${own} is disabled`)).toBeVisible();
  await expect(theirs.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await theirs.getByLabel("E-mail").fill(email);
  await theirs.getByLabel("Password").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Sign in" }).click();
  await expect(theirs.getByRole("alert")).toHaveText("E-mail and password do not match.");

  // Undone from the toast, they come in again.
  await toast(page, `Grace ${own} is disabled`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `Grace ${own} may sign in again`)).toBeVisible();
  await theirs.getByRole("button", { name: "Sign in" }).click();
  await expect(theirs.getByRole("heading", { name: "Subscriptions" })).toBeVisible();

  // An invitation that was used lets nobody in.
  const late = await open("nobody");
  await late.goto(link);
  await late.getByLabel("Name").fill("Eve");
  await late.getByLabel("Password").fill(PASSWORD);
  watch.expects(/status of 403 .*\/api\/v1\/invitation\)$/);
  await late.getByRole("button", { name: "Save, and sign in" }).click();
  await expect(late.getByRole("alert")).toBeVisible();

  await row.getByRole("button", { name: /^What to do with/ }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.getByRole("dialog", { name: "Delete the user" }).getByRole("textbox").fill(email);
  await page.getByRole("button", { name: "Delete for good" }).click();
  await expect(toast(page, `Grace ${own} is deleted`)).toBeVisible();
  await expect(rows(page, "Users", email)).toHaveCount(0);
  expect((await admin.get<{ data: { email: string }[] }>("/api/v1/users?limit=100")).data.map((one) => one.email)).not.toContain(email);
});

test("nobody is locked out: the last who administers stays", async ({ start, open, watch }) => {
  const relay = await start();
  const page = await open("admin", { at: relay });
  await page.goto("/ui/users");
  const row = rows(page, "Users", "admin@example.com");
  await row.getByRole("button", { name: /^What to do with/ }).click();
  await expect(page.getByRole("menuitem", { name: /^Disable/ })).toContainText("You would lock yourself out");
  await expect(page.getByRole("menuitem", { name: /^Disable/ })).toBeDisabled();
  watch.expects(/status of 409 .*\/api\/v1\/users\//);
  await page.getByRole("menuitem", { name: /^Viewer/ }).click();
  const dialog = page.getByRole("dialog", { name: "The admin stays admin" });
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "Leave it as it is" }).click();
  await expect(row).toContainText("admin");
});

test("one changes one's password, and all other sessions end", async ({ open, admin, own, watch }) => {
  const who = { email: `${own}@example.com`, password: PASSWORD };
  await admin.post("/api/v1/users", { email: who.email, name: "Linus", role: "viewer", password: who.password });
  const [page, other] = [await open(who), await open(who)];
  await other.goto("/ui/events");
  await untilLive(other);
  await page.goto("/ui/account");
  await page.getByLabel("The one that you have").fill("not that one");
  await page.getByLabel("The new one").fill("another good password");
  watch.expects(/status of 4\d\d .*\/api\/v1\/session\/password\)$/);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByText("This is not your password")).toBeVisible();
  await page.getByLabel("The one that you have").fill(PASSWORD);
  watch.expects(/status of 401 .*\/api\/v1\//);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(toast(page, "Your password is changed")).toBeVisible();
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Your account" })).toBeVisible();
});
