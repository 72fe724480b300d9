import { List, type Page } from "../list.js";
import type { CallOptions, Transport } from "../transport.js";
import type { Event, EventsQuery } from "../types.js";

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
}
