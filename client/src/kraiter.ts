import { Audit, Blocks, TenantSettings } from "./resources/administration.js";
import { Contacts } from "./resources/contacts.js";
import { Events } from "./resources/events.js";
import { type BatchResult, rewrite, rewriteBatch } from "./resources/mails.js";
import { Sends } from "./resources/sends.js";
import { Campaigns, type Statistics, statistics } from "./resources/statistics.js";
import { Webhooks } from "./resources/webhooks.js";
import { type CallOptions, type KraiterOptions, Transport } from "./transport.js";
import type { Mail, Recipient, RewrittenMail, SharedMail } from "./types.js";

/** One tenant's access to Kraiter Tracking. Holds nothing that needs closing. */
export class Kraiter {
  readonly #transport: Transport;
  readonly contacts: Contacts;
  readonly sends: Sends;
  readonly events: Events;
  readonly stats: Statistics;
  readonly campaigns: Campaigns;
  readonly settings: TenantSettings;
  readonly blocks: Blocks;
  readonly audit: Audit;
  readonly webhooks: Webhooks;

  constructor(options: KraiterOptions) {
    this.#transport = new Transport(options);
    this.contacts = new Contacts(this.#transport);
    this.sends = new Sends(this.#transport);
    this.events = new Events(this.#transport);
    this.stats = statistics(this.#transport);
    this.campaigns = new Campaigns(this.#transport);
    this.settings = new TenantSettings(this.#transport);
    this.blocks = new Blocks(this.#transport);
    this.audit = new Audit(this.#transport);
    this.webhooks = new Webhooks(this.#transport);
  }

  /** Registers a mail and puts in its pixel and links. */
  rewrite(mail: Mail, options?: CallOptions): Promise<RewrittenMail> {
    return rewrite(this.#transport, mail, options);
  }

  /**
   * One mail for many recipients, as a stream: a result for each, in order. Recipients are read no
   * faster than results are taken. Leaving the loop ends the request.
   */
  rewriteBatch<R extends Recipient>(
    shared: SharedMail,
    recipients: Iterable<R> | AsyncIterable<R>,
    options?: CallOptions,
  ): AsyncGenerator<BatchResult<R>, void, undefined> {
    return rewriteBatch(this.#transport, shared, recipients, options);
  }
}
