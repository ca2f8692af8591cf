import { Proxy } from "../support/proxy";
import { PASSWORD, type Relay } from "../support/relay";
import { rows, stays, untilLive } from "../support/seen";
import { expect, test, type Page } from "../support/test";

/** Also that a page could not be loaded: its file may have come in time, or not. */
const AWAY = /net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)|NotLoaded/;

function outage(page: Page) {
  return page.getByRole("status").filter({ hasText: /Nothing that was accepted is lost|was accepted is safe/ });
}

function link(page: Page, name: string) {
  return page.getByRole("navigation", { name: "Pages" }).first().getByRole("link", { name, exact: true });
}

/** A page that comes through the proxy, signed in. */
async function through(proxy: Proxy, relay: Relay, open: (as: "admin", options: { baseURL: string }) => Promise<Page>): Promise<Page> {
  const page = await open("admin", { baseURL: proxy.base });
  expect(relay.base).not.toBe(proxy.base);
  return page;
}

test("while the node is away, every page says so, keeps what it showed, and comes back by itself", async ({ start, open, watch }) => {
  const relay = await start();
  const page = await open("admin", { at: relay });
  const late = await open("admin", { at: relay });
  await late.goto("/ui/account");
  await page.goto("/ui/subscriptions/new");
  await page.getByLabel("Name", { exact: true }).fill("typed with care");
  await untilLive(page);
  const stayed = await stays(page);

  watch.expects(AWAY);
  await relay.kill();
  for (const one of [page, late]) {
    await expect(outage(one)).toContainText("This node does not answer.");
    await expect(one.getByRole("button", { name: /^No answer\./ })).toBeVisible();
  }
  // A page whose file never came: it says why, instead of giving way to the browser's own error.
  await link(late, "Audit log").click();
  await expect(late.getByRole("alert").or(late.getByRole("heading", { name: "Audit log" }).and(late.locator("h1"))).first()).toBeVisible();
  await expect(outage(late)).toBeVisible();

  await relay.startAgain();
  await expect(outage(page)).toBeHidden();
  await expect(outage(late)).toBeHidden();
  await untilLive(page);
  await expect(late.getByRole("heading", { name: "Audit log", level: 1 })).toBeVisible();
  await expect(late.getByRole("alert")).toBeHidden();
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("typed with care");
  await stayed();
});

test("while the database is away, pages say what that means, and go on when it is back", async ({ start, open, profile, own, watch }) => {
  test.skip(profile !== "distributed", "SQLite is in the process: tests/chaos fills its disk");
  const relay = await start();
  const page = await open("admin", { at: relay });
  await page.goto("/ui/events");
  await untilLive(page);
  watch.expects(/status of 503/);
  await relay.database?.shut();
  await expect(outage(page)).toContainText("The database does not answer.");
  await expect(outage(page)).toContainText("refused with 503");
  await relay.database?.open();
  await expect(outage(page)).toBeHidden({ timeout: 30_000 });
  await relay.admin.send(`${own}.after`);
  await expect(rows(page, "Events", `${own}.after`)).toBeVisible();
});

test("a session that ends in the middle of a form asks for the password, and nothing typed is lost", async ({ page, admin, own, watch }) => {
  await page.goto("/ui/subscriptions/new");
  await page.getByLabel("Name", { exact: true }).fill(own);
  const session = await page.evaluate(async () => ((await (await fetch("/api/v1/session")).json()) as { id: string }).id);
  watch.expects(/status of 401/);
  await admin.ask("DELETE", `/api/v1/sessions/${session}`);
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await expect(dialog.getByLabel(/^Password of/)).toBeFocused();
  // It can be put off, to look at what is there.
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await dialog.getByLabel(/^Password of/).fill("not the password");
  await page.keyboard.press("Enter");
  await expect(dialog.getByText("This is not the password.")).toBeVisible();
  await dialog.getByLabel(/^Password of/).fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await untilLive(page);
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue(own);
  // The new session's token counts.
  await page.getByLabel("URL", { exact: true }).fill("http://127.0.0.1:9/hook");
  const patterns = page.getByRole("combobox", { name: "Add an event type or a pattern" });
  await patterns.fill(`${own}.*`);
  await patterns.press("Enter");
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await expect(page.getByRole("heading", { name: `${own} is registered` })).toBeVisible();
});

test("what cannot be drawn says so, and the rest stands", async ({ page, watch }) => {
  watch.expects(/TypeError|reading/);
  await page.route("**/api/v1/dashboard/overview", (route) => route.fulfill({ json: { complete: true } }));
  await page.goto("/ui/");
  await expect(page.getByRole("alert")).toContainText("This page cannot be shown");
  await page.unroute("**/api/v1/dashboard/overview");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
});

test.describe("behind a proxy", () => {
  let proxy: Proxy;
  test.beforeEach(async ({ relay }) => {
    proxy = await Proxy.start(relay.base);
  });
  test.afterEach(() => proxy.stop());

  test("that keeps streams back, pages poll", async ({ relay, open, admin, own }) => {
    proxy.manners = { buffers: true };
    const page = await through(proxy, relay, open);
    await page.goto("/ui/events");
    await expect(page.getByRole("button", { name: /^Every 5 s\./ })).toBeVisible();
    await admin.send(`${own}.polled`);
    await expect(rows(page, "Events", `${own}.polled`)).toBeVisible();
    await expect(outage(page)).toBeHidden();
  });

  test("that takes cookies away, the sign-in page says why nobody gets in", async ({ admin, open, own }) => {
    const email = `${own}@example.com`;
    await admin.post("/api/v1/users", { email, name: own, role: "viewer", password: PASSWORD });
    proxy.manners = { stripsCookies: true };
    const page = await open("nobody", { baseURL: proxy.base });
    await page.goto("/ui/sign-in");
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await expect(page.getByRole("alert")).toContainText("does not send the session's cookie back");
  });

  test("of a relay that was updated, a page whose file is gone comes with the new build", async ({ relay, open, watch }) => {
    const page = await through(proxy, relay, open);
    proxy.manners = { forgets: /\/ui\/assets\/Keys-/ };
    watch.expects(/status of 404/);
    await page.goto("/ui/account");
    await untilLive(page);
    let loads = 0;
    page.on("load", () => {
      loads += 1;
      // What is loaded anew is the new build.
      proxy.manners = {};
    });
    await link(page, "Keys").click();
    await expect(page.getByRole("heading", { name: "Keys", level: 1 })).toBeVisible();
    expect(loads).toBe(1);
  });
});
