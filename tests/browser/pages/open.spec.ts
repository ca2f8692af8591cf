/** The same for what opens over a page. */
import { expect } from "@playwright/test";
import { accessibility, contrast, sideways, smallTargets } from "../support/eyes";
import { test } from "../support/furnished-test";
import { OPENED, openOver } from "../support/opened";

/** What is drawn by script follows its window a moment later. */
const soft = expect.configure({ soft: true });

for (const opened of OPENED) {
  for (const [size, viewport] of [["desk", { width: 1360, height: 860 }], ["phone", { width: 390, height: 844 }]] as const) {
    test(`${opened.name}, ${size}`, async ({ open, made }) => {
      const page = await open("admin", { viewport, colorScheme: "light" });
      await openOver(page, opened, made);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
        expect.soft(await (colorScheme === "light" ? accessibility(page) : contrast(page)), `axe, ${colorScheme}`).toEqual([]);
      }
      await soft.poll(() => sideways(page), "sideways").toEqual([]);
      await soft.poll(() => smallTargets(page), "targets").toEqual([]);
    });
  }
}
