/**
 * Many items out, one answer each in, on one connection, in order, both at once. Survives a
 * connection that breaks: what is not answered is sent again on the next.
 */

import { KraiterError } from "../errors.js";
import type { Call, CallOptions, Prepared, Transport } from "../transport.js";
import { lines } from "./lines.js";
import { Window } from "./window.js";

export interface Exchange<Item> {
  call: Call;
  /** What the body begins with, before the items' lines. */
  head?: string;
  items: Iterable<Item> | AsyncIterable<Item>;
  toLine(item: Item): string;
}

export interface Answer<Item> {
  item: Item;
  answer: unknown;
}

const NDJSON = "application/x-ndjson";

export async function* exchange<Item>(
  transport: Transport,
  job: Exchange<Item>,
  options: CallOptions = {},
): AsyncGenerator<Answer<Item>, void, undefined> {
  const request = transport.request(job.call, { accept: NDJSON, type: NDJSON });
  const window = new Window(job.items, job.toLine);
  const retries = transport.retries(options);
  try {
    for (;;) {
      try {
        for await (const answer of connection(transport, request, job.head, window, options)) {
          retries.reset();
          yield answer;
        }
        break;
      } catch (error) {
        await retries.pause(error, true, options.signal);
      }
    }
    if (window.failure) throw window.failure.error;
  } finally {
    window.close();
  }
}

async function* connection<Item>(
  transport: Transport,
  request: Prepared,
  head: string | undefined,
  window: Window<Item>,
  options: CallOptions,
): AsyncGenerator<Answer<Item>, void, undefined> {
  const watchdog = transport.watchdog(options);
  // Only the service is timed, not the one who takes the answers.
  let isTaken = true;
  const time = () => {
    if (isTaken && window.isOwed) watchdog.start();
  };
  try {
    const response = await transport.open(request, watchdog.signal, body(head, window, time));
    for await (const line of lines(response.body ?? noBody())) {
      watchdog.stop();
      const answer = parsed(line);
      const sent = window.answered();
      if (!sent) throw unexpected("It has more answers than there were lines.");
      isTaken = false;
      yield { item: sent.item, answer };
      isTaken = true;
      time();
    }
    if (!window.isDone) throw cutOff();
  } catch (error) {
    throw watchdog.explain(error);
  } finally {
    watchdog.end();
    watchdog.abort();
  }
}

/** Asked for more only when what it gave before is on its way. */
function body<Item>(
  head: string | undefined,
  window: Window<Item>,
  onSent: () => void,
): ReadableStream<Uint8Array> {
  const next = window.connect();
  let isFirst = head !== undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = isFirst ? new TextEncoder().encode(`${head}\n`) : await next();
        isFirst = false;
        if (chunk) controller.enqueue(chunk);
        else controller.close();
        onSent();
      },
    },
    { highWaterMark: 0 },
  );
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw unexpected("One of its lines is not JSON.");
  }
}

async function* noBody(): AsyncGenerator<Uint8Array> {}

function unexpected(detail: string): KraiterError {
  return new KraiterError("unexpected_answer", { title: "The answer cannot be read", detail });
}

function cutOff(): KraiterError {
  const detail = "The answer ended before everything was answered.";
  return new KraiterError("connection_failed", { title: "The connection failed", detail });
}
