/** A Postgres database of a relay's own. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { given } from "./environment";

const run = promisify(execFile);

export class Database {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  static async create(): Promise<Database> {
    const database = new Database(`posthaste_browser_${randomBytes(8).toString("hex")}`);
    await sql(`CREATE DATABASE ${database.#name}`);
    return database;
  }

  get url(): string {
    const url = new URL(given("TEST_DATABASE_URL"));
    url.pathname = `/${this.#name}`;
    return url.href;
  }

  /** Nobody gets in, and whoever is in is thrown out: as if the server were away, for this relay alone. */
  async shut(): Promise<void> {
    await sql(`ALTER DATABASE ${this.#name} ALLOW_CONNECTIONS false`);
    await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${this.#name}'`);
  }

  async open(): Promise<void> {
    await sql(`ALTER DATABASE ${this.#name} ALLOW_CONNECTIONS true`);
  }

  async drop(): Promise<void> {
    await sql(`DROP DATABASE IF EXISTS ${this.#name} WITH (FORCE)`);
  }
}

/** As the superuser, by the program that comes with the server. */
async function sql(statement: string): Promise<void> {
  const program = join(given("POSTHASTE_TEST_PG_BIN"), "psql");
  await run(program, ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", `--dbname=${given("TEST_DATABASE_URL")}`, `--command=${statement}`]);
}
