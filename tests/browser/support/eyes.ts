/** What is looked for on a page by measuring it: each answers with what is wrong, in words. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

/** WCAG 2.2, A and AA, and what axe holds to be good practice. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export async function accessibility(page: Page): Promise<string[]> {
  return found(page, { type: "tag", values: RULES });
}

/** All that another theme can change. */
export async function contrast(page: Page): Promise<string[]> {
  return found(page, { type: "rule", values: ["color-contrast"] });
}

type Runs = NonNullable<Parameters<AxeBuilder["options"]>[0]["runOnly"]>;

async function found(page: Page, runOnly: Runs): Promise<string[]> {
  // What is well is not described, which takes longer than to look at it. Our pages have no frames:
  // without them axe needs no page of its own to put its findings together in.
  const axe = new AxeBuilder({ page }).options({ runOnly, resultTypes: ["violations"] }).setLegacyMode();
  const { violations } = await axe.analyze();
  return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")} · ${node.html.slice(0, 160)} · ${(node.failureSummary ?? "").replaceAll(/\s+/g, " ").slice(0, 200)}`));
}

/** Whatever makes one scroll sideways, or lies where nobody can get to it. */
export async function sideways(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const name = (element: Element) => `<${element.tagName.toLowerCase()} class="${(element.getAttribute("class") ?? "").slice(0, 60)}"> ${(element.textContent ?? "").trim().slice(0, 40)}`;
    function* ancestors(element: Element) {
      for (let one: Element | null = element; one; one = one.parentElement) yield one;
    }
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide in ${root.clientWidth}`);
    for (const element of document.querySelectorAll("*")) {
      const style = getComputedStyle(element);
      if (!element.checkVisibility()) continue;
      if ((style.overflowX === "auto" || style.overflowX === "scroll") && element.scrollWidth > element.clientWidth + 1 && element.tagName !== "TEXTAREA") found.push(`scrolls sideways: ${name(element)}`);
    }
    for (const element of document.querySelectorAll("a, button, input, select, textarea, summary, h1, h2")) {
      const box = element.getBoundingClientRect();
      // What is for screen readers alone is one pixel; what carries a switch's value for forms is hidden from everybody.
      if (element.getAttribute("aria-hidden") === "true" || box.width <= 1 || box.height <= 1 || getComputedStyle(element).visibility === "hidden") continue;
      // What ends in an ellipsis says so, and is told in full where it leads.
      const isShortened = [...ancestors(element)].some((one) => getComputedStyle(one).textOverflow === "ellipsis" && one.getBoundingClientRect().right <= root.clientWidth + 1);
      if ((box.left < -1 || box.right > root.clientWidth + 1) && !isShortened) found.push(`reaches out of the window, from ${Math.round(box.left)} to ${Math.round(box.right)}: ${name(element)}`);
    }
    return found;
  });
}

/** Controls that are too small to be hit: less than 24 by 24. Links within a line of text are as high as it. */
export async function smallTargets(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    for (const element of document.querySelectorAll("button, input:not([type=checkbox]):not([type=hidden]), select, textarea, summary, [role=tab], [role=menuitem], [role=option], [role=switch]")) {
      const box = element.getBoundingClientRect();
      if (box.width <= 1 || box.height <= 1 || getComputedStyle(element).visibility === "hidden") continue;
      // Its label belongs to what can be hit.
      const label = element.id ? document.querySelector(`label[for="${CSS.escape(element.id)}"]`)?.getBoundingClientRect() : undefined;
      const height = Math.max(box.height, element.getAttribute("role") === "switch" ? element.parentElement?.getBoundingClientRect().height ?? 0 : 0);
      const width = box.width + (element.getAttribute("role") === "switch" ? label?.width ?? 0 : 0);
      if (width < 23.9 || height < 23.9) found.push(`${Math.round(width)} by ${Math.round(height)}: <${element.tagName.toLowerCase()}> ${(element.getAttribute("aria-label") ?? element.textContent ?? "").trim().slice(0, 50)}`);
    }
    return found;
  });
}

/** Sets text as widely as readers may (WCAG 1.4.12). By script, as the pages' policy allows. */
export async function spaceText(page: Page): Promise<void> {
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; } p { margin-bottom: 2em !important; }");
    document.adoptedStyleSheets.push(sheet);
  });
}

/** Text that is cut at its foot, or at a side without an ellipsis that says so. */
export async function cutText(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    for (const element of document.querySelectorAll("#root *, [role=dialog] *, [role=menu] *")) {
      const style = getComputedStyle(element);
      const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
      if (!hasText || element.clientHeight <= 1 || element.closest("svg, .sr-only, select, textarea")) continue;
      const cutsX = style.overflowX === "hidden" || style.overflowX === "clip";
      const cutsY = style.overflowY === "hidden" || style.overflowY === "clip";
      const what = `<${element.tagName.toLowerCase()}> ${(element.textContent ?? "").trim().slice(0, 50)}`;
      // Letters reach a little under their line; whole lines do not.
      if (cutsY && style.webkitLineClamp === "none" && element.scrollHeight > element.clientHeight + 6) found.push(`its foot is cut, ${element.scrollHeight} in ${element.clientHeight}: ${what}`);
      if (cutsX && style.textOverflow !== "ellipsis" && element.scrollWidth > element.clientWidth + 1) found.push(`its end is cut: ${what}`);
      if (element.tagName === "BUTTON" && element.scrollWidth > element.clientWidth + 1) found.push(`it runs over its edge: ${what}`);
    }
    return found;
  });
}

/** What moves now. */
export async function moving(page: Page): Promise<string[]> {
  return page.evaluate(() => document.getAnimations().filter((one) => one.playState === "running").map((one) => {
    const { target } = one.effect as KeyframeEffect;
    return `${one instanceof CSSAnimation ? one.animationName : "a transition"} of <${target?.tagName.toLowerCase() ?? "?"}>`;
  }));
}
