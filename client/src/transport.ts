/** Requests and answers. Knows no path of the API. */

import { errorOf, KraiterError } from "./errors.js";
import { type Answered, withDates } from "./dates.js";
import { Retries } from "./retries.js";
import { VERSION } from "./version.js";
import { Watchdog } from "./watchdog.js";

export interface KraiterOptions {
  /** As `kraiter api-key create` shows it, once. */
  apiKey: string;
  /** Where the service is, like `https://kraiter.internal:8080`. */
  baseUrl: string | URL;
  /** Milliseconds that an attempt may take; for a stream, between two answers. 30 000 if not given. */
  timeout?: number;
  /** How often a call is tried again. 3 if not given. */
  maxRetries?: number;
  /** Instead of the global `fetch`, to go through a proxy for example. */
  fetch?: typeof fetch;
}

/** What each call takes as its last argument. */
export interface CallOptions {
  /** Ends the call, its retries included. The call then throws the signal's reason. */
  signal?: AbortSignal;
  timeout?: number;
  maxRetries?: number;
}

type Value = string | number | boolean | Date | null | undefined;
export type Query = { readonly [name: string]: Value | readonly Value[] };

export interface Call {
  /** As the OpenAPI document names it: method and path template. */
  operation: Answered;
  /** What stands for `{…}` in the path, in order. */
  parts?: readonly string[];
  query?: Query | undefined;
  headers?: Readonly<Record<string, string>>;
  body?: unknown;
  /** Whether doing it twice is as good as doing it once. */
  isRepeatable?: boolean;
}

export interface Prepared {
  url: string;
  init: RequestInit;
}

export const TIMEOUT_MS = 30_000;
export const MAX_RETRIES = 3;
const NO_CONTENT = 204;
const JSON_TYPE = "application/json";

export class Transport {
  readonly #base: string;
  readonly #apiKey: string;
  readonly #timeout: number;
  readonly #maxRetries: number;
  readonly #fetch: typeof fetch;

  constructor(options: KraiterOptions) {
    const { apiKey, baseUrl, timeout = TIMEOUT_MS, maxRetries = MAX_RETRIES } = options;
    if (typeof apiKey !== "string" || apiKey === "") throw new TypeError("apiKey is missing");
    const base = new URL(baseUrl);
    if (base.protocol !== "http:" && base.protocol !== "https:") {
      throw new TypeError(`baseUrl is ${base.href}; it starts with http: or https:`);
    }
    this.#base = base.origin + base.pathname.replace(/\/+$/, "");
    this.#apiKey = apiKey;
    this.#timeout = timeout;
    this.#maxRetries = maxRetries;
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  retries(options: CallOptions): Retries {
    return new Retries(options.maxRetries ?? this.#maxRetries);
  }

  /** What is silent for `usual` milliseconds by its nature is left that long, unless the call itself says less. */
  watchdog(options: CallOptions, usual = 0): Watchdog {
    return new Watchdog(options.timeout ?? Math.max(this.#timeout, usual), options.signal);
  }

  /** The JSON of the answer, with dates. */
  async call<T>(call: Call, options: CallOptions = {}): Promise<T> {
    const body = call.body === undefined ? {} : { type: JSON_TYPE, body: JSON.stringify(call.body) };
    const request = this.request(call, { accept: JSON_TYPE, ...body });
    const retries = this.retries(options);
    for (;;) {
      try {
        const text = await this.#attempt(request, options);
        return (text === "" ? undefined : withDates(call.operation, parse(text))) as T;
      } catch (error) {
        await retries.pause(error, call.isRepeatable ?? true, options.signal);
      }
    }
  }

  async #attempt(request: Prepared, options: CallOptions): Promise<string> {
    const watchdog = this.watchdog(options);
    watchdog.start();
    try {
      const response = await this.open(request, watchdog.signal);
      const text = await response.text();
      if (text === "" && response.status !== NO_CONTENT) throw unreadable();
      return text;
    } catch (error) {
      throw watchdog.explain(error);
    } finally {
      watchdog.end();
    }
  }

  /** Throws what is wrong with the call itself. */
  request(call: Call, content: { accept: string; type?: string; body?: string }): Prepared {
    const [method] = call.operation.split(" ");
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#apiKey}`,
      accept: `${content.accept}, application/problem+json`,
      "user-agent": `kraiter-tracking-js/${VERSION}`,
      ...call.headers,
    };
    if (content.type) headers["content-type"] = content.type;
    const init = { method, headers, redirect: "manual", ...(content.body !== undefined && { body: content.body }) };
    return { url: this.#base + target(call), init: init as RequestInit };
  }

  /** Sends a request; an answer other than 2xx is an error. */
  async open(request: Prepared, signal: AbortSignal, body?: ReadableStream<Uint8Array>): Promise<Response> {
    const streamed = body && { body, duplex: "half" };
    const response = await this.#fetch(request.url, { ...request.init, ...streamed, signal } as RequestInit);
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause?: unknown): KraiterError {
  const detail = "It is not JSON, or was cut off.";
  return new KraiterError("unexpected_answer", { title: "The answer cannot be read", detail, cause });
}

function target(call: Call): string {
  const parts = [...(call.parts ?? [])];
  const [, template = "/"] = call.operation.split(" ");
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => piece(name, parts.shift()));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value === undefined || value === null) continue;
    query.set(name, Array.isArray(value) ? value.map(shown).join(",") : shown(value as Value));
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

const shown = (value: Value) => (value instanceof Date ? value.toISOString() : String(value));

/** A piece of a path. URLs cannot say `.` and `..`: they would name another path. */
function piece(name: string, text: string | undefined): string {
  if (typeof text !== "string" || /^\.{0,2}$/.test(text)) {
    throw new TypeError(`${name} is ${JSON.stringify(text)}, which no path can say`);
  }
  return encodeURIComponent(text);
}
