import { describe, expect, it } from "vitest";
import { MessageParser } from "./sse";

const TEXT = ': hello\n\nid: 7-1\nevent: event.accepted\ndata: {"a":1}\n\n: heartbeat\nid: 7-2\n\nevent: x\ndata: one\ndata: two\n\n';

describe("messages of the stream", () => {
  it("are the same wherever the text is cut", () => {
    const whole = new MessageParser().push(TEXT);
    expect(whole).toEqual([
      { id: "7-1", event: "event.accepted", data: '{"a":1}' },
      { id: "7-2", event: "x", data: "one\ntwo" },
    ]);
    for (let cut = 0; cut <= TEXT.length; cut += 1) {
      const parser = new MessageParser();
      expect([...parser.push(TEXT.slice(0, cut)), ...parser.push(TEXT.slice(cut))]).toEqual(whole);
    }
  });

  it("are none for a heartbeat, whose id counts", () => {
    const parser = new MessageParser();
    expect(parser.push(": heartbeat\nid: 9-9\n\n")).toEqual([]);
    expect(parser.lastId).toBe("9-9");
  });

  it("are bounded", () => {
    expect(() => new MessageParser().push("x".repeat(2_000_000))).toThrow(/too long/);
  });
});
