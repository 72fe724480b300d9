/** When a call is tried again, and how long it waits before. */

import { KraiterError } from "./errors.js";

/** The first wait is at most this long, each further one twice as long. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
/** A service that wants to be left alone for longer than this is not waited for. */
const LONGEST_RETRY_AFTER_SECONDS = 60;

export class Retries {
  readonly #max: number;
  #made = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Something got through: the next failure is a first one again. */
  reset(): void {
    this.#made = 0;
  }

  /** Waits before the next attempt, `atLeast` milliseconds, or throws the error if there should be none. */
  async pause(error: unknown, isRepeatable: boolean, signal?: AbortSignal, atLeast = 0): Promise<void> {
    const { retryAfter } = error instanceof KraiterError ? error : { retryAfter: undefined };
    const isWorthIt = isRefusal(error) || (isRepeatable && isBroken(error));
    if (!isWorthIt || this.#made >= this.#max) throw error;
    if ((retryAfter ?? 0) > LONGEST_RETRY_AFTER_SECONDS) throw error;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#made);
    this.#made += 1;
    // Many clients that failed at once should not come back at once.
    const jitter = Math.random() * longest;
    await wait(Math.max((retryAfter ?? 0) * 1000, atLeast) + jitter, signal);
  }
}

/** The service did nothing and asks to come back. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof KraiterError)) return false;
  // The attempt before, whose connection broke, is still under way.
  if (error.code === "idempotency_key_in_use") return true;
  return error.status === 429 || error.status === 503;
}

/** Nobody knows whether the service did it. */
function isBroken(error: unknown): boolean {
  if (!(error instanceof KraiterError)) return false;
  if (error.code === "timeout" || error.code === "connection_failed") return true;
  return error.code === "unexpected_answer" && (error.status === 502 || error.status === 504);
}

async function wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
