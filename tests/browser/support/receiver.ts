/** A receiver on a real socket, which remembers what it got and behaves as it is told. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Webhook } from "standardwebhooks";

/** A status, one with more to it, or no answer at all: `hang` keeps the connection, `drop` cuts it. */
export type Behaviour = number | { status: number; headers?: Record<string, string>; body?: string } | "hang" | "drop";

export interface Received {
  headers: Record<string, string>;
  body: string;
  /** The `webhook-id`: the event's id. */
  id: string;
  isTest: boolean;
}

const PATIENCE = 30_000;

export class Receiver {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #received: Received[] = [];
  readonly #watchers = new Set<() => void>();
  #behaviour: Behaviour = 204;

  private constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once("error", reject);
      receiver.#server.listen(0, "127.0.0.1", resolve);
    });
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** Everything that came, oldest first. */
  get all(): readonly Received[] {
    return this.#received;
  }

  /** From now on, requests are answered so. */
  answers(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Waits until what is looked for has come. */
  async until<T>(what: string, find: (all: readonly Received[]) => T | undefined | false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const look = () => {
        const found = find(this.#received);
        if (found === undefined || found === false) return;
        clearTimeout(deadline);
        this.#watchers.delete(look);
        resolve(found);
      };
      const deadline = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Error(`the receiver waited ${PATIENCE / 1_000} s in vain for ${what}; ${this.#received.length} requests came`));
      }, PATIENCE);
      this.#watchers.add(look);
      look();
    });
  }

  /** Waits until that event has come. */
  event(id: string): Promise<Received> {
    return this.until(`the event ${id}`, (all) => all.find((one) => one.id === id));
  }

  /** Waits until so many requests have come. */
  count(many: number): Promise<readonly Received[]> {
    return this.until(`${many} requests`, (all) => all.length >= many && all);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The relay hung up while it sent.
      return;
    }
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    this.#received.push({ headers, body: Buffer.concat(chunks).toString("utf8"), id: headers["webhook-id"] ?? "", isTest: headers["webhook-test"] === "true" });
    const behaviour = this.#behaviour;
    if (behaviour === "drop") request.socket.destroy();
    else if (behaviour !== "hang") {
      const { status, headers = {}, body = "" } = typeof behaviour === "number" ? { status: behaviour } : behaviour;
      response.writeHead(status, headers).end(body);
    }
    this.#watchers.forEach((look) => look());
  }
}

/** Whether a library of Standard Webhooks takes it for genuine. */
export function isSignedWith(secret: string, received: Received): boolean {
  try {
    new Webhook(secret).verify(received.body, received.headers);
    return true;
  } catch {
    return false;
  }
}
