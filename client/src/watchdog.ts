/** An abort signal that fires when an answer takes too long, or when the caller's own one fires. */

import { KraiterError } from "./errors.js";

export class Watchdog {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #callers: AbortSignal | undefined;
  readonly #follow = () => this.#controller.abort(this.#callers?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(milliseconds: number, callers?: AbortSignal) {
    callers?.throwIfAborted();
    this.#milliseconds = milliseconds;
    this.#callers = callers;
    callers?.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Counts from now, unless it counts already. */
  start(): void {
    this.#timer ??= setTimeout(() => this.#controller.abort(this.#error()), this.#milliseconds);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Lets go of the caller's signal. */
  end(): void {
    this.stop();
    this.#callers?.removeEventListener("abort", this.#follow);
  }

  /** Ends what was begun with the signal. */
  abort(): void {
    this.#controller.abort();
  }

  /** What a failed request is to be called. */
  explain(error: unknown): unknown {
    if (this.signal.aborted) return this.signal.reason;
    if (error instanceof KraiterError || !(error instanceof Error)) return error;
    const reason = error.cause instanceof Error ? error.cause : error;
    return new KraiterError("connection_failed", {
      title: "The connection failed",
      detail: `${reason.message || reason.name}.`,
      cause: error,
    });
  }

  #error(): KraiterError {
    return new KraiterError("timeout", {
      title: "No answer in time",
      detail: `Nothing came for ${this.#milliseconds} ms.`,
    });
  }
}
