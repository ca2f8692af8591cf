/** What holds on every page: its theme, its widths, its keys. */
import { rows, toast } from "../support/seen";
import { expect, test } from "../support/test";

const PLACES = ["Overview", "Events", "Subscriptions", "Deliveries", "Jobs", "Event types", "System", "Keys", "Tenants", "Users", "Audit log"];

test("dark by the system or by choice, which is remembered", async ({ page }) => {
  const html = page.locator("html");
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/ui/events");
  await expect(html).toHaveAttribute("data-theme", "light");
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(html).toHaveAttribute("data-theme", "dark");
  expect(await ground()).not.toBe(light);

  await page.getByRole("button", { name: "The admin" }).click();
  await page.getByRole("menuitem", { name: "Light" }).click();
  await expect(html).toHaveAttribute("data-theme", "light");
  expect(await ground()).toBe(light);
  await page.reload();
  await expect(page.getByRole("heading", { name: "Events" })).toBeVisible();
  await expect(html).toHaveAttribute("data-theme", "light");
  await page.goto("/ui/account");
  await page.getByRole("button", { name: "As the system has it" }).click();
  await expect(html).toHaveAttribute("data-theme", "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await expect(html).toHaveAttribute("data-theme", "light");
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("every place is reached by the bar, and nothing scrolls sideways", async ({ page, admin, receiver, own }) => {
    const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
    const event = await admin.send(`${own}.a-type-with-a-long-name.that-has-many.segments`);
    await receiver.event(event);
    await page.goto("/ui/");
    const bar = page.getByRole("navigation", { name: "Pages" });
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
    await expect(bar).toBeVisible();
    for (const place of PLACES) {
      const direct = bar.getByRole("link", { name: place, exact: true });
      if (await direct.isVisible()) await direct.tap();
      else {
        await bar.getByRole("button", { name: "More" }).tap();
        await page.getByRole("menuitem", { name: place, exact: true }).tap();
      }
      await expect(page.getByRole("heading", { level: 1, name: place })).toBeVisible();
      expect(await fits(), `${place} is wider than the phone`).toBe(true);
    }
    for (const path of [`subscriptions/${id}`, `events/${event}`, "subscriptions/new", "events/send", "account"]) {
      await page.goto(`/ui/${path}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      expect(await fits(), `${path} is wider than the phone`).toBe(true);
    }

    // A thumb pauses what goes wrong.
    await page.goto("/ui/subscriptions");
    await rows(page, "Subscriptions", own).tap();
    const pause = page.getByRole("button", { name: "Pause" });
    const box = await pause.boundingBox();
    expect(Math.min(box?.width ?? 0, box?.height ?? 0)).toBeGreaterThanOrEqual(24);
    await pause.tap();
    await expect(toast(page, `${own} is paused`)).toBeVisible();
    await expect(page.getByRole("button", { name: "Resume" })).toBeVisible();
  });
});

test("by the keyboard alone", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: [`${own}.*`] });
  await receiver.event(await admin.send(`${own}.created`));
  await page.goto("/ui/");
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  for (const [key, place] of [["e", "Events"], ["s", "Subscriptions"], ["d", "Deliveries"]] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page.getByRole("heading", { level: 1, name: place })).toBeVisible();
  }
  await page.keyboard.press("/");
  await expect(page.getByRole("searchbox", { name: "Search deliveries" })).toBeFocused();
  // What is typed there is text: `g s` leads nowhere.
  await page.keyboard.type(`g s ${own}`);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/ui\/deliveries\?q=g/);
  await page.keyboard.press("Escape");

  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keyboard" });
  await expect(help).toContainText("Go to Audit log");
  await page.keyboard.press("Escape");
  await expect(help).toBeHidden();

  await page.keyboard.press("Control+k");
  const palette = page.getByRole("combobox", { name: "Command" });
  await expect(palette).toBeFocused();
  await page.keyboard.type("subscr");
  await expect(page.getByRole("option", { selected: true })).toContainText("Subscriptions");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/ui\/subscriptions$/);

  // Rows by arrows, opened by Enter.
  await page.keyboard.press("/");
  await page.keyboard.type(own);
  await expect(rows(page, "Subscriptions")).toHaveCount(1);
  await page.keyboard.press("Tab");
  await expect(async () => {
    await page.keyboard.press("Tab");
    await expect(rows(page, "Subscriptions", own)).toBeFocused({ timeout: 100 });
  }).toPass({ intervals: [0], timeout: 10_000 });
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(id));

  // A dialog keeps the focus, and gives it back.
  const more = page.getByRole("button", { name: "More" });
  await more.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: "Edit" })).toBeFocused();
  await page.keyboard.press("End");
  await expect(page.getByRole("menuitem", { name: "Delete…" })).toBeFocused();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Delete the subscription" });
  await expect(dialog.getByRole("textbox")).toBeFocused();
  for (let pressed = 0; pressed < 8; pressed += 1) {
    await page.keyboard.press("Tab");
    await expect(dialog.locator(":focus")).toHaveCount(1);
  }
  // Also from where a hint is open: it goes with the dialog.
  await dialog.getByRole("button", { name: "Delete for good" }).focus();
  await expect(page.getByRole("tooltip", { includeHidden: true })).toHaveText("Type the name first");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(more).toBeFocused();
  await page.getByRole("button", { name: "Test", exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog", { name: "Test send" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Test", exact: true })).toBeFocused();

  // An id that is pasted leads to its page.
  const event = await admin.send(`${own}.pasted`);
  await page.keyboard.press("Control+k");
  await page.keyboard.insertText(event);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/ui/events/${event}$`));
});

test("a hint that is left and come back to at once is there", async ({ page, admin, receiver, own }) => {
  const { id } = await admin.subscribe({ name: own, url: receiver.url, eventTypes: ["*"] });
  await page.goto(`/ui/subscriptions/${id}`);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete the subscription" });
  await expect(dialog.getByRole("textbox")).toBeFocused();
  // All of it within few frames, so in the page itself.
  await dialog.getByRole("button", { name: "Delete for good" }).evaluate(async (button: HTMLElement) => {
    const frame = () => new Promise(requestAnimationFrame);
    const appearing = () => document.getAnimations().some((one) => one instanceof CSSAnimation && one.animationName === "appear");
    while (appearing()) await frame();
    const before = document.activeElement as HTMLElement;
    button.focus();
    // It is left in the first moment of its appearing.
    while (!appearing()) await Promise.resolve();
    before.focus();
    await frame();
    button.focus();
    do await frame(); while (appearing());
    await frame();
  });
  await expect(page.getByRole("tooltip", { includeHidden: true })).toHaveText("Type the name first");
});

test("an address that leads nowhere says so", async ({ page }) => {
  await page.goto("/ui/nowhere");
  await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await page.getByRole("link", { name: "Go to the overview" }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
});
