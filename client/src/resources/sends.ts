import { KraiterError } from "../errors.js";
import { exchange } from "../stream/exchange.js";
import type { CallOptions, Transport } from "../transport.js";
import type { NewSend, Send, SendStatus, StatusChange, StatusReport } from "../types.js";
import { identified } from "./mails.js";

/** One report with the status that its send has now, or with why it was not taken. */
export type ReportResult<R extends StatusReport = StatusReport> =
  | { report: R; status: SendStatus; error?: undefined }
  | { report: R; status?: undefined; error: KraiterError };

/** `kraiter.sends`. */
export class Sends {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The send with its opens and clicks. */
  get(id: string, options?: CallOptions): Promise<Send> {
    return this.#transport.call({ operation: "GET /sends/{id}", parts: [id] }, options);
  }

  /** Registers a send that is not rewritten. */
  create(send: NewSend, options?: CallOptions): Promise<Send> {
    return this.#transport.call({ operation: "POST /sends", body: identified(send) }, options);
  }

  /** Reports what became of a send. */
  update(id: string, change: StatusChange, options?: CallOptions): Promise<Send> {
    return this.#transport.call({ operation: "PATCH /sends/{id}", parts: [id], body: change }, options);
  }

  /** Reports what became of many, as a stream: one answer for each report, in order. */
  async *reportStatuses<R extends StatusReport>(
    reports: Iterable<R> | AsyncIterable<R>,
    options?: CallOptions,
  ): AsyncGenerator<ReportResult<R>, void, undefined> {
    const job = {
      call: { operation: "POST /sends/status" },
      items: reports,
      toLine: (report: R) => JSON.stringify(report),
    } as const;
    for await (const { item: report, answer } of exchange(this.#transport, job, options)) {
      const { status, error } = answer as { status: SendStatus; error?: Parameters<typeof KraiterError.of>[0] };
      if (error) yield { report, error: KraiterError.of(error) };
      else yield { report, status };
    }
  }
}
