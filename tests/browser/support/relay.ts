/** The real binary, with a data directory or a database of its own, to be killed and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrowserContext } from "@playwright/test";
import { Api, type Profile, type Role } from "./api";
import { Database } from "./database";
import { given } from "./environment";

export const ADMIN_KEY = "browser-tests-admin-key";
export const PASSWORD = "correct horse battery";

/** Whom a page is signed in as. */
export type Who = Role | "nobody" | { key: string } | { email: string; password: string };

const PATIENCE = 30_000;
/** Characters of its output that are kept. */
const MOST_KEPT = 1_000_000;
const LISTENS = /listens on (http:\/\/127\.0\.0\.1:\d+)/;

/** Tests sign in more often than people do. */
const SETTINGS = {
  POSTHASTE_LIMITS__SIGN_IN_PER_ADDRESS: "0",
  POSTHASTE_LIMITS__SIGN_IN_PER_ACCOUNT: "0",
};

export class Relay {
  /** All that run in this process. */
  static readonly running = new Set<Relay>();

  readonly #directory: string;
  readonly #database: Database | undefined;
  readonly #settings: Record<string, string>;
  readonly #users = new Map<Role, Promise<void>>();
  #child: ChildProcess | undefined;
  #base = "";
  #output = "";

  private constructor(directory: string, database: Database | undefined, settings: Record<string, string>) {
    this.#directory = directory;
    this.#database = database;
    this.#settings = settings;
  }

  /** Starts one with nothing in it. `settings` are environment variables. */
  static async start(profile: Profile, settings: Record<string, string> = {}): Promise<Relay> {
    const directory = await mkdtemp(join(tmpdir(), "posthaste-browser-"));
    const relay = new Relay(directory, profile === "distributed" ? await Database.create() : undefined, settings);
    Relay.running.add(relay);
    try {
      await relay.#serve("127.0.0.1:0");
    } catch (failure) {
      await relay.stop();
      throw failure;
    }
    return relay;
  }

  get base(): string {
    return this.#base;
  }

  /** Its own; undefined where it stores in a file. */
  get database(): Database | undefined {
    return this.#database;
  }

  get admin(): Api {
    return new Api(this.#base, ADMIN_KEY);
  }

  /** What it printed and logged, over all its starts. */
  get output(): string {
    return this.#output;
  }

  /** The one-time link for the first user, as the last start printed it. */
  get setupLink(): string {
    const link = [...this.#output.matchAll(/http:\/\/\S+\/ui\/setup#token=\S+/g)].at(-1)?.[0];
    if (!link) throw new Error("the relay printed no link for the first user");
    return link;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it again at the same address, on what it has stored. */
  async startAgain(): Promise<void> {
    await this.#serve(new URL(this.#base).host);
  }

  /** Ends it, and removes what it stored. */
  async stop(): Promise<void> {
    // At once: a graceful stop would wait for receivers that hang.
    await this.#end("SIGKILL");
    Relay.running.delete(this);
    await this.#database?.drop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Signs in as a page would; pages of the context have its cookie then. */
  async signIn(context: BrowserContext, who: Who): Promise<void> {
    if (who === "nobody") return;
    if (typeof who === "string") await this.#user(who);
    const data = typeof who === "string" ? { email: `${who}@example.com`, password: PASSWORD } : who;
    const answer = await context.request.post(`${this.#base}/api/v1/session`, { data });
    if (!answer.ok()) throw new Error(`signing in was answered ${answer.status()}: ${await answer.text()}`);
  }

  /** One user of each role, made when it is first needed. */
  async #user(role: Role): Promise<void> {
    const made = this.#users.get(role) ?? this.admin.post<void>("/api/v1/users", { email: `${role}@example.com`, name: `The ${role}`, role, password: PASSWORD });
    this.#users.set(role, made);
    await made;
  }

  async #serve(listen: string): Promise<void> {
    const child = spawn(given("POSTHASTE_TEST_BINARY"), ["serve", "--dev"], {
      env: {
        ...SETTINGS,
        ...this.#settings,
        POSTHASTE_LISTEN: listen,
        POSTHASTE_ADMIN_KEY: ADMIN_KEY,
        POSTHASTE_DATA_DIR: join(this.#directory, "data"),
        ...(this.#database ? { DATABASE_URL: this.#database.url, REDIS_URL: given("TEST_REDIS_URL") } : {}),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    // Whatever ends this process, the relay ends with it.
    const last = () => child.kill("SIGKILL");
    process.once("exit", last);
    child.once("exit", () => process.off("exit", last));
    const from = this.#output.length;
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`the relay did not say within ${PATIENCE / 1_000} s where it listens:\n${this.#output}`)), PATIENCE);
      const fail = (why: string) => {
        clearTimeout(deadline);
        reject(new Error(`${why}:\n${this.#output}`));
      };
      child.once("error", (error) => fail(`the relay could not be started: ${error.message}`));
      child.once("exit", (code, signal) => fail(`the relay ended at its start (${signal ?? code})`));
      const take = (chunk: Buffer) => {
        if (this.#output.length < MOST_KEPT) this.#output += chunk.toString("utf8");
        const base = LISTENS.exec(this.#output.slice(from))?.[1];
        if (!base) return;
        this.#base = base;
        clearTimeout(deadline);
        resolve();
      };
      child.stdout.on("data", take);
      child.stderr.on("data", take);
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
