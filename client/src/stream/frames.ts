/** Server-sent events out of a body, however its chunks are cut, as the HTML standard reads them. */

import { KraiterError } from "../errors.js";

export interface Frame {
  /** The one that it came with itself. */
  id: string | undefined;
  event: string;
  data: string;
}

/** Much longer than any event. */
const MAX_CHARACTERS = 1 << 20;

export class Frames {
  readonly #decoder = new TextDecoder();
  /** Of a line that has not ended. */
  #rest = "";
  #endedWithReturn = false;
  #id: string | undefined;
  #event = "";
  #data: string[] = [];
  #characters = 0;
  /** Milliseconds that the service wants to be left alone before a reader comes back, if it said so. */
  retry: number | undefined;

  /** The events that end in this chunk. */
  take(chunk: Uint8Array): Frame[] {
    let text = this.#decoder.decode(chunk, { stream: true });
    if (text === "") return [];
    // A line break may be cut in two.
    if (this.#endedWithReturn && text.startsWith("\n")) text = text.slice(1);
    this.#endedWithReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    const frames: Frame[] = [];
    for (const line of lines) {
      const frame = line === "" ? this.#end() : this.#field(line);
      if (frame) frames.push(frame);
    }
    if (this.#characters + this.#rest.length > MAX_CHARACTERS) throw tooLong();
    return frames;
  }

  #field(line: string): undefined {
    const colon = line.indexOf(":");
    // A comment, which says that the stream lives.
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    this.#characters += line.length;
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }

  #end(): Frame | undefined {
    const frame = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
    const hasData = this.#data.length > 0;
    this.#id = undefined;
    this.#event = "";
    this.#data = [];
    this.#characters = 0;
    return hasData ? frame : undefined;
  }
}

function tooLong(): KraiterError {
  const detail = `One of its events has more than ${MAX_CHARACTERS} characters.`;
  return new KraiterError("unexpected_answer", { title: "The answer cannot be read", detail });
}
