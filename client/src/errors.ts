/** What a call fails with. */

import type { components } from "./generated/schema.js";

type Problem = components["schemas"]["Problem"];

/** Codes of the service. What programs go by; a code never changes its meaning. */
export type ServiceErrorCode = Problem["code"];

/** Codes of this client, for what has no answer of the service. */
export type ClientErrorCode =
  /** No answer within `timeout`. */
  | "timeout"
  /** The service could not be reached, or the connection broke. */
  | "connection_failed"
  /** Something else answered, such as a gateway, or an answer was cut off. */
  | "unexpected_answer"
  /** A request to a webhook's receiver was not signed with its secret, or not lately. */
  | "unverified_webhook";

export interface ErrorFields {
  status?: number | undefined;
  title: string;
  detail: string;
  field?: string | undefined;
  type?: string | undefined;
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** Every failed call, except one that was aborted: that throws the signal's reason, as `fetch` does. */
export class KraiterError extends Error {
  override readonly name = "KraiterError";
  /** What programs go by. Newer services may have codes that are not listed here. */
  readonly code: ServiceErrorCode | ClientErrorCode | (string & {});
  /** The HTTP status; `undefined` if there was no answer. */
  readonly status: number | undefined;
  /** The kind of problem in words, the same for each code. */
  readonly title: string;
  /** What was wrong this time, and what to do. */
  readonly detail: string;
  /** The field or parameter it is about, like `options.pixel`. */
  readonly field: string | undefined;
  /** The problem's `type`. */
  readonly type: string | undefined;
  /** Seconds after which the service wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined;

  constructor(code: KraiterError["code"], fields: ErrorFields) {
    const { status, title, detail, field, type, retryAfter, cause } = fields;
    const where = status === undefined ? code : `${status} ${code}`;
    super(`${title}: ${detail} (${where})`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.field = field;
    this.type = type;
    this.retryAfter = retryAfter;
  }

  /** From a problem document (RFC 9457). */
  static of(problem: Problem, retryAfter?: number): KraiterError {
    const { code, status, title, detail, field, type } = problem;
    return new KraiterError(code, { status, title, detail, field: field ?? undefined, type, retryAfter });
  }
}

const QUOTED_CHARACTERS = 200;

/** The error that an answer with a status other than 2xx means. */
export async function errorOf(response: Response): Promise<KraiterError> {
  const retryAfter = seconds(response.headers.get("retry-after"));
  const text = await response.text();
  const problem = isProblem(response) ? parsed(text) : undefined;
  if (problem) return KraiterError.of(problem, retryAfter);
  const quoted = text.trim().slice(0, QUOTED_CHARACTERS);
  return new KraiterError("unexpected_answer", {
    status: response.status,
    title: "Something else than the service answered",
    detail: quoted ? `It said: ${quoted}` : "It said nothing more.",
    retryAfter,
  });
}

function isProblem(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith("application/problem+json") ?? false;
}

function parsed(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.code === "string" ? (value as Problem) : undefined;
  } catch {
    return undefined;
  }
}

/** `retry-after` is a number of seconds or a date (RFC 9110). */
function seconds(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}
