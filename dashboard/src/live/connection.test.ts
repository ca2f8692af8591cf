// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Connection } from "./connection";
import type { Fact } from "./facts";

let answers: ((response: Response) => void)[] = [];
let asked: Request[] = [];

function stream() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  return {
    response: new Response(readable, { headers: { "content-type": "text/event-stream" } }),
    say: (text: string) => writer.write(new TextEncoder().encode(text)),
    end: () => writer.close(),
  };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", (request: Request) => {
    asked.push(request);
    return new Promise<Response>((resolve, reject) => {
      answers.push(resolve);
      request.signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("has pages poll within five seconds where there is no stream, and stops that once there is", async () => {
  const connection = new Connection();
  const stop = connection.start();
  await vi.advanceTimersByTimeAsync(4_900);
  expect(connection.standing).toBe("polling");
  const { response, say } = stream();
  answers[0]?.(response);
  void say('id: a-1\nevent: hello\ndata: {"covers":"node"}\n\n');
  await settle();
  expect(connection.standing).toBe("live");
  stop();
  expect(connection.standing).toBe("resting");
  expect(asked[0]?.signal.aborted).toBe(true);
});

it("comes back with the last id, and passes on what it hears", async () => {
  const connection = new Connection();
  const facts: Fact[] = [];
  connection.read((fact) => facts.push(fact));
  const stop = connection.start();
  await settle();
  const first = stream();
  answers[0]?.(first.response);
  void first.say('id: a-1\nevent: hello\ndata: {}\n\nid: a-2\nevent: job.moved\ndata: {"jobId":"j"}\n\n: heartbeat\nid: a-9\n\n');
  await settle();
  expect(facts.map((fact) => fact.event)).toEqual(["reset", "job.moved"]);
  void first.end();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(asked[1]?.headers.get("Last-Event-ID")).toBe("a-9");
  const second = stream();
  answers[1]?.(second.response);
  void second.say("id: a-10\nevent: hello\ndata: {}\n\nevent: dropped\ndata: {\"facts\":3}\n\n");
  await settle();
  // What was begun once is not begun again; what was missed is asked for anew.
  expect(facts.map((fact) => fact.event)).toEqual(["reset", "job.moved", "reset"]);
  stop();
});

it("gives up where it may not listen", async () => {
  const connection = new Connection();
  const stop = connection.start();
  await settle();
  answers[0]?.(Response.json({ code: "missing-scope", title: "t", status: 403 }, { status: 403 }));
  await vi.advanceTimersByTimeAsync(60_000);
  expect([connection.standing, asked.length]).toEqual(["refused", 1]);
  stop();
});
