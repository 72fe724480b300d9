import { KraiterError } from "../errors.js";
import { newSendId } from "../send-id.js";
import { exchange } from "../stream/exchange.js";
import type { CallOptions, Transport } from "../transport.js";
import type { Mail, Recipient, RewrittenMail, SharedMail } from "../types.js";

/** One recipient of a batch with its mail, or with why it got none. */
export type BatchResult<R extends Recipient = Recipient> =
  | { recipient: R; mail: RewrittenMail; error?: undefined }
  | { recipient: R; mail?: undefined; error: KraiterError };

export function rewrite(transport: Transport, mail: Mail, options?: CallOptions): Promise<RewrittenMail> {
  return transport.call({ operation: "POST /rewrite", body: identified(mail) }, options);
}

export async function* rewriteBatch<R extends Recipient>(
  transport: Transport,
  shared: SharedMail,
  recipients: Iterable<R> | AsyncIterable<R>,
  options?: CallOptions,
): AsyncGenerator<BatchResult<R>, void, undefined> {
  const job = {
    call: { operation: "POST /rewrite/batch" },
    head: JSON.stringify(shared),
    items: recipients,
    toLine: (recipient: R) => JSON.stringify(identified(recipient)),
  } as const;
  for await (const { item: recipient, answer } of exchange(transport, job, options)) {
    const { error, ...mail } = answer as RewrittenMail & { error?: Parameters<typeof KraiterError.of>[0] };
    if (error) yield { recipient, error: KraiterError.of(error) };
    else yield { recipient, mail };
  }
}

/** With an id, so that doing it again is doing it once. */
export function identified<T extends { contact: string; sendId?: string | null | undefined }>(send: T): T {
  return send.sendId ? send : { ...send, sendId: newSendId() };
}
