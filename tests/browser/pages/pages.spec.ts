/**
 * Every page as everybody meets it: light and dark, at a desk and on a phone, with large letters
 * and without motion. What is measured here holds for pages that are written later too: one that is
 * in the router and not in the list fails.
 */
import { expect } from "@playwright/test";
import { accessibility, contrast, cutText, moving, sideways, smallTargets, spaceText } from "../support/eyes";
import { test } from "../support/furnished-test";
import { PLACES, routesOfRouter, settled, visit } from "../support/places";

/** What is drawn by script follows its window a moment later. */
const soft = expect.configure({ soft: true });

const DESK = { width: 1360, height: 860 };
const PHONE = { width: 390, height: 844 };
/** 1280 at 400 %: what WCAG asks a page to fit into. */
const NARROWEST = { width: 320, height: 640 };

test("the list has every page of the router", () => {
  expect(routesOfRouter().length).toBeGreaterThan(20);
  expect([...new Set(PLACES.map((place) => place.route))].sort()).toEqual(routesOfRouter());
});

for (const place of PLACES) {
  test(place.name, async ({ open, made }) => {
    const page = await open(place.isOutside ? "nobody" : "admin", { viewport: DESK, colorScheme: "light" });
    await visit(page, place, made);

    const heading = page.getByRole("heading", { level: 1 });
    await expect(heading).toHaveCount(1);
    await expect(page).toHaveTitle(`${(await heading.textContent()) ?? ""} · Posthaste`);

    for (const [size, viewport] of [["desk", DESK], ["phone", PHONE]] as const) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
        await settled(page);
        expect.soft(await (colorScheme === "light" ? accessibility(page) : contrast(page)), `axe, ${size}, ${colorScheme}`).toEqual([]);
      }
      await soft.poll(() => sideways(page), `sideways, ${size}`).toEqual([]);
      await soft.poll(() => smallTargets(page), `targets, ${size}`).toEqual([]);
    }
    await page.setViewportSize(NARROWEST);
    await settled(page);
    await soft.poll(() => sideways(page), "sideways, at 320").toEqual([]);
    await page.setViewportSize(DESK);
    await spaceText(page);
    await soft.poll(() => sideways(page), "sideways, with wide text").toEqual([]);
    await soft.poll(() => cutText(page), "cut, with wide text").toEqual([]);
    await page.setViewportSize(PHONE);
    await soft.poll(() => sideways(page), "sideways, with wide text on a phone").toEqual([]);
  });
}

test("nothing moves for those who asked for that", async ({ open, made }) => {
  const cut = PLACES.find((place) => place.name === "subscription-cut");
  if (!cut) throw new Error("the list has no subscription whose breaker is open");
  const restless = await open("admin", { reducedMotion: "no-preference" });
  await visit(restless, cut, made);
  await restless.getByRole("button", { name: "Test", exact: true }).click();
  await expect.poll(() => moving(restless), "without the wish something moves, or this test says nothing").not.toEqual([]);

  const calm = await open("admin", { reducedMotion: "reduce" });
  for (const place of PLACES.filter((one) => ["overview", "events", "subscription-healthy", "subscription-cut", "system"].includes(one.name))) {
    await visit(calm, place, made);
    expect(await moving(calm), place.name).toEqual([]);
  }
  await visit(calm, cut, made);
  await calm.getByRole("button", { name: "Test", exact: true }).click();
  await expect(calm.getByRole("dialog")).toBeVisible();
  expect(await moving(calm)).toEqual([]);
});
