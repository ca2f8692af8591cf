/**
 * Looks over every page of a test: nothing may stand in its console, nothing may fail unseen,
 * nothing may be asked of another host, and the policy of our pages may not be violated. A test in
 * which something of that has to happen says which line, and then it has to come.
 */
import type { BrowserContext, ConsoleMessage } from "@playwright/test";

interface Expected {
  line: RegExp;
  came: boolean;
}

export class Watch {
  readonly #faults: string[] = [];
  readonly #expected: Expected[] = [];
  #isOver = false;

  /** Lines of the console that belong to what a test does. One at least has to come. */
  expects(line: RegExp): void {
    this.#expected.push({ line, came: false });
  }

  async follow(context: BrowserContext, base: string): Promise<void> {
    const { origin } = new URL(base);
    context.on("console", (message) => this.#read(message));
    context.on("weberror", (failure) => this.#note(`uncaught: ${failure.error().stack ?? failure.error().message}`));
    context.on("request", (request) => {
      if (!["data:", "blob:"].some((scheme) => request.url().startsWith(scheme)) && new URL(request.url()).origin !== origin) this.#note(`asked of another host: ${request.url()}`);
    });
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (violation) => {
        console.error(`policy violated: ${violation.violatedDirective} by ${violation.blockedURI || "inline"} at ${violation.sourceFile}:${violation.lineNumber}`);
      });
    });
  }

  /** What comes later is of pages that are being closed. */
  end(): void {
    this.#isOver = true;
  }

  /** What should not have been, and what did not come although it should have. */
  get verdict(): string[] {
    return [...this.#faults, ...this.#expected.filter((one) => !one.came).map((one) => `never came: ${String(one.line)}`)];
  }

  #read(message: ConsoleMessage): void {
    if (!["error", "warning", "assert"].includes(message.type())) return;
    const { url } = message.location();
    this.#note(`${message.type()}: ${message.text()}${url ? ` (${url})` : ""}`);
  }

  #note(line: string): void {
    if (this.#isOver) return;
    const expected = this.#expected.find((one) => one.line.test(line));
    if (expected) expected.came = true;
    else this.#faults.push(line);
  }
}
