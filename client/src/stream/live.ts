/**
 * Server-sent events, one connection after the other for as long as they are read: each goes on from
 * the last event that came.
 */

import { KraiterError } from "../errors.js";
import type { Call, CallOptions, Transport } from "../transport.js";
import { type Frame, Frames } from "./frames.js";

const EVENT_STREAM = "text/event-stream";
/** Two of the service's signs of life may get lost. */
const SILENCE_MS = 30_000;
/** Before a reader comes back, unless the service says otherwise. */
const PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
/** What happened this long before a connection was cut may not have been sent on it. */
const WINDOW_MS = 60_000;
/** At least so many ids are remembered: the service makes up for a thousand events. */
const KEPT_IDS = 5_000;

export interface LiveOptions extends CallOptions {
  /** The last event that was received, by its id: what came since is sent first. */
  lastEventId?: string;
}

/** What one connection leaves to the next. */
interface Position {
  last: string | undefined;
  pause: number;
  /** When the service was last heard. */
  heardAt: number | undefined;
}

export async function* live(
  transport: Transport,
  call: Call,
  options: LiveOptions = {},
): AsyncGenerator<Frame, void, undefined> {
  const position: Position = { last: options.lastEventId, pause: PAUSE_MS, heardAt: undefined };
  const retries = transport.retries(options);
  const seen = new Seen();
  for (;;) {
    try {
      for await (const frame of connection(transport, call, position, options, () => retries.reset())) {
        // What is sent anew after a cut overlaps with what came before it.
        if (frame.id === undefined || seen.isNew(frame.id)) yield frame;
      }
    } catch (error) {
      await retries.pause(error, true, options.signal, position.pause);
    }
  }
}

/** Never ends but by an error. */
async function* connection(
  transport: Transport,
  call: Call,
  position: Position,
  options: CallOptions,
  onHeard: () => void,
): AsyncGenerator<Frame, void, undefined> {
  const headers: Record<string, string> = position.last === undefined ? {} : { "last-event-id": position.last };
  const request = transport.request({ ...call, headers }, { accept: EVENT_STREAM });
  const watchdog = transport.watchdog(options, SILENCE_MS);
  const frames = new Frames();
  try {
    watchdog.start();
    const response = await transport.open(request, watchdog.signal);
    if (!isEventStream(response)) throw unexpected(response.status);
    watchdog.stop();
    if (position.last === undefined && position.heardAt !== undefined) yield gap(position.heardAt);
    watchdog.start();
    for await (const chunk of response.body ?? []) {
      watchdog.stop();
      onHeard();
      position.heardAt = Date.now();
      for (const frame of frames.take(chunk)) {
        position.last = frame.id ?? position.last;
        yield frame;
        options.signal?.throwIfAborted();
      }
      position.pause = Math.min(frames.retry ?? position.pause, LONGEST_PAUSE_MS);
      watchdog.start();
    }
    throw ended();
  } catch (error) {
    throw watchdog.explain(error);
  } finally {
    watchdog.end();
    watchdog.abort();
  }
}

/** Without an event to go on from, the service does not know what was missed. */
function gap(heardAt: number): Frame {
  const from = new Date(heardAt - WINDOW_MS);
  return { id: undefined, event: "skipped", data: JSON.stringify({ reason: "away", from }) };
}

/** Ids of late, in two halves of which the older one is forgotten as a whole. */
class Seen {
  #older = new Set<string>();
  #newer = new Set<string>();

  isNew(id: string): boolean {
    if (this.#newer.has(id) || this.#older.has(id)) return false;
    this.#newer.add(id);
    if (this.#newer.size >= KEPT_IDS) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return true;
  }
}

function isEventStream(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith(EVENT_STREAM) ?? false;
}

function unexpected(status: number): KraiterError {
  const detail = "It is not a stream of events.";
  return new KraiterError("unexpected_answer", { status, title: "The answer cannot be read", detail });
}

function ended(): KraiterError {
  const detail = "The stream ended.";
  return new KraiterError("connection_failed", { title: "The connection failed", detail });
}
