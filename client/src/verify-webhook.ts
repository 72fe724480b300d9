/** What a receiver of webhooks checks, by the Standard Webhooks specification. */

import { createHmac, timingSafeEqual } from "node:crypto";

import { withDatesOf } from "./dates.js";
import { KraiterError } from "./errors.js";
import type { WebhookPayload } from "./types.js";

/** Older requests, and those from the future, may be somebody's replay. */
const TOLERANCE_SECONDS = 300;
/** By the specification. The service's have 32. */
const MIN_SECRET_BYTES = 24;

/** Headers as `fetch` has them, or as Node.js and its frameworks do. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined };

/**
 * The payload of a webhook's request, if one of the secrets has signed it within five minutes of now.
 * Otherwise throws a `KraiterError` with the code `unverified_webhook`; answer 401 then.
 *
 * `body` is what came, byte for byte. Several secrets are for a rotation.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
): WebhookPayload {
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError("body is the text or the bytes that came, before anything parsed them");
  }
  const keys = (typeof secret === "string" ? [secret] : [...(secret ?? [])]).map(keyOf);
  if (keys.length === 0) throw new TypeError("secret is missing");
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const given = header(headers, "webhook-signature").split(" ").map((text) => Buffer.from(text));
  const age = Date.now() / 1000 - Number(timestamp);
  if (!/^\d+$/.test(timestamp) || Math.abs(age) > TOLERANCE_SECONDS) {
    throw unverified(`webhook-timestamp is ${timestamp}, which is not within ${TOLERANCE_SECONDS} seconds of now.`);
  }
  const isSigned = keys
    .map((key) => createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64"))
    .map((mac) => Buffer.from(`v1,${mac}`))
    .some((made) => given.some((one) => one.length === made.length && timingSafeEqual(one, made)));
  if (!isSigned) throw unverified("None of its signatures was made with the secret, over this body.");
  return withDatesOf("WebhookPayload", parsed(body)) as WebhookPayload;
}

/** An empty key would be anybody's. */
function keyOf(secret: unknown): Buffer {
  const text = typeof secret === "string" ? secret.replace(/^whsec_/, "") : "";
  const bytes = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : Buffer.alloc(0);
  if (bytes.length < MIN_SECRET_BYTES) throw new TypeError("secret is not a webhook's, which begins with whsec_");
  return bytes;
}

function header(headers: WebhookHeaders, name: string): string {
  const value =
    typeof headers.get === "function"
      ? headers.get(name)
      : Object.entries(headers).find(([other]) => other.toLowerCase() === name)?.[1];
  if (typeof value !== "string" || value === "") throw unverified(`The header ${name} is missing.`);
  return value;
}

function parsed(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === "string" ? body : new TextDecoder().decode(body));
  } catch (cause) {
    throw unverified("Its body is signed and is not JSON.", cause);
  }
}

function unverified(detail: string, cause?: unknown): KraiterError {
  return new KraiterError("unverified_webhook", { title: "A webhook's request cannot be trusted", detail, cause });
}
