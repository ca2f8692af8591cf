/** What may stand between a browser and the relay: passes requests on, and misbehaves as it is told. */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface Manners {
  /** Streams are kept back until they end. */
  buffers?: boolean;
  /** Cookies pass in neither direction. */
  stripsCookies?: boolean;
  /** Answers paths that match as a newer relay does that no longer has those files. */
  forgets?: RegExp;
  /** Changes the text of pages. */
  rewrites?: (page: string) => string;
}

export class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  manners: Manners = {};

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((asked, answered) => this.#pass(asked, answered, hostname, Number(port)));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(target: string): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  #pass(asked: IncomingMessage, answered: ServerResponse, host: string, port: number) {
    const { buffers, stripsCookies, forgets, rewrites } = this.manners;
    const path = asked.url ?? "/";
    if (forgets?.test(path)) {
      answered.writeHead(404).end();
      return;
    }
    const headers = { ...asked.headers };
    if (stripsCookies) delete headers.cookie;
    // Text is rewritten as it is, not compressed.
    if (rewrites) delete headers["accept-encoding"];
    const onward = request({ host, port, path, method: asked.method, headers }, (answer) => {
      const head = { ...answer.headers };
      if (stripsCookies) delete head["set-cookie"];
      const isPage = head["content-type"]?.startsWith("text/html") ?? false;
      if ((buffers && head["content-type"] === "text/event-stream") || (rewrites && isPage)) {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          delete head["content-length"];
          delete head["etag"];
          answered.writeHead(answer.statusCode ?? 502, head).end(rewrites && isPage ? rewrites(text) : text);
        });
        return;
      }
      answered.writeHead(answer.statusCode ?? 502, head);
      answered.flushHeaders();
      answer.pipe(answered);
    });
    // As common proxies do while what is behind them is away.
    onward.on("error", () => {
      if (!answered.headersSent) answered.writeHead(502, { "content-type": "text/html" });
      answered.end("<h1>502 Bad Gateway</h1>");
    });
    answered.on("close", () => onward.destroy());
    asked.pipe(onward);
  }
}
