/** `posthaste demo`: the relay that pictures are taken of, with live traffic. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { BrowserContext } from "@playwright/test";
import { Api } from "../support/api";
import { given } from "../support/environment";

const LINK = /(http:\/\/[^\s/]+)\/ui\/sign-in#key=(\S+)/;
const PATIENCE = 60_000;

export class Demo {
  readonly base: string;
  readonly #key: string;
  readonly #child: ChildProcess | undefined;

  private constructor(link: string, child?: ChildProcess) {
    const [, base, key] = LINK.exec(link) ?? [];
    if (!base || !key) throw new Error("a link is the one that `posthaste demo` prints, with #key= at its end");
    this.base = base;
    this.#key = key;
    this.#child = child;
  }

  /** The one that runs already, or one that runs for this. */
  static async start(link: string | undefined): Promise<Demo> {
    if (link) return new Demo(link);
    const child = spawn(given("POSTHASTE_TEST_BINARY"), ["demo", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => child.kill("SIGKILL"));
    let said = "";
    const printed = await new Promise<string>((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`the demo did not say within ${PATIENCE / 1_000} s where it is:\n${said}`)), PATIENCE);
      child.once("exit", (code) => reject(new Error(`the demo ended at its start (${code}):\n${said}`)));
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString("utf8");
        const found = LINK.exec(said)?.[0];
        if (!found || !said.includes(`${found}\n`)) return;
        clearTimeout(deadline);
        resolve(found);
      });
    });
    return new Demo(printed, child);
  }

  get admin(): Api {
    return new Api(this.base, this.#key);
  }

  async signIn(context: BrowserContext): Promise<void> {
    const answer = await context.request.post(`${this.base}/api/v1/session`, { data: { key: this.#key } });
    if (!answer.ok()) throw new Error(`signing in was answered ${answer.status()}`);
  }

  async stop(): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}
