import { withDatesOf } from "../dates.js";
import { KraiterError } from "../errors.js";
import { List, type Page } from "../list.js";
import { live, type LiveOptions } from "../stream/live.js";
import type { CallOptions, Transport } from "../transport.js";
import type { Event, EventsQuery, Skipped, StreamQuery } from "../types.js";

/** An event, or that some were not sent. */
export type StreamResult =
  | { event: Event; skipped?: undefined }
  | { event?: undefined; skipped: Skipped };

/** `kraiter.events`. */
export class Events {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Events by type, verdict, send, contact, campaign and time, newest first. */
  list(query: EventsQuery = {}, options?: CallOptions): List<Event> {
    return new List((cursor) =>
      this.#transport.call<Page<Event>>({ operation: "GET /events", query: { ...query, cursor } }, options),
    );
  }

  /**
   * Events as they arrive, from the first `next()` on. It has no end: leave the loop. After a connection
   * that broke it goes on where it was.
   */
  async *stream(query: StreamQuery = {}, options?: LiveOptions): AsyncGenerator<StreamResult, void, undefined> {
    for await (const { event, data } of live(this.#transport, { operation: "GET /events/stream", query }, options)) {
      if (event === "message") yield { event: withDatesOf("Event", parsed(data)) as Event };
      else if (event === "skipped") yield { skipped: skipped(parsed(data)) };
    }
  }
}

/** It is in no schema of the OpenAPI document. */
function skipped(value: unknown): Skipped {
  const { from, ...rest } = value as Omit<Skipped, "from"> & { from: string };
  return { ...rest, from: new Date(from) };
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (cause) {
    const detail = "One of its events is not JSON.";
    throw new KraiterError("unexpected_answer", { title: "The answer cannot be read", detail, cause });
  }
}
