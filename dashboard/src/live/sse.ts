/** Server-sent events read with `fetch`: an `EventSource` can neither tell a refusal nor be read at our pace. */

export interface Message {
  id: string | undefined;
  event: string;
  data: string;
}

/** Bytes of one message at most; the relay's are a few hundred. */
const LONGEST = 1 << 20;

/** Takes text as it comes, and gives what is complete. */
export class MessageParser {
  #rest = "";
  #event = "";
  #data: string[] = [];
  #id: string | undefined;

  /** The last id seen, also one of a heartbeat. */
  get lastId(): string | undefined {
    return this.#id;
  }

  push(text: string): Message[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LONGEST) throw new Error("a message of the stream is too long");
    const messages: Message[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) messages.push({ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") this.#event = value;
      else if (name === "data") this.#data.push(value);
      else if (name === "id") this.#id = value;
    }
    return messages;
  }
}
