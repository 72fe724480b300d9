/** Turns the dates of an answer into `Date`, where the OpenAPI document says that there are some. */

import type { components } from "./generated/schema.js";
import { answers, type Dates, schemas } from "./generated/dates.js";

/** Every operation of the service, like `GET /sends/{id}`. */
export type Answered = keyof typeof answers;

/** Changes the value in place: it was just parsed, and nobody else has it. */
export function withDates(operation: Answered, value: unknown): unknown {
  return revived(value, answers[operation]);
}

/** The same for what no answer is as a whole: an event of a stream, a webhook's body. */
export function withDatesOf(schema: keyof components["schemas"], value: unknown): unknown {
  return revived(value, schema);
}

function revived(value: unknown, dates: Dates): unknown {
  if (dates === null || value === null || value === undefined) return value;
  if (dates === true) return typeof value === "string" ? new Date(value) : value;
  if (typeof dates === "string") return revived(value, schemas[dates] ?? null);
  if (Array.isArray(dates)) {
    if (Array.isArray(value)) value.forEach((item, at) => (value[at] = revived(item, dates[0])));
    return value;
  }
  if (typeof value !== "object") return value;
  const fields = value as { [field: string]: unknown };
  for (const [field, inner] of Object.entries(dates)) {
    if (field in fields) fields[field] = revived(fields[field], inner);
  }
  return value;
}
