import { List, type Page } from "../list.js";
import type { CallOptions, Transport } from "../transport.js";
import type {
  CreatedWebhook,
  NewWebhook,
  PageQuery,
  Webhook,
  WebhookChange,
  WebhookDeliveriesQuery,
  WebhookDelivery,
  WebhookPing,
  WebhookReplay,
  WebhookSecret,
} from "../types.js";

export interface CreateOptions extends CallOptions {
  /** Calls with the same one make one webhook, within a day. A new one for each call if not given. */
  idempotencyKey?: string;
}

/** `kraiter.webhooks`: endpoints of yours that events are sent to. */
export class Webhooks {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Oldest first. */
  list(query: PageQuery = {}, options?: CallOptions): List<Webhook> {
    return new List((cursor) => {
      const call = { operation: "GET /webhooks", query: { ...query, cursor } } as const;
      return this.#transport.call<Page<Webhook>>(call, options);
    });
  }

  /** The webhook, and how it fares. */
  get(id: string, options?: CallOptions): Promise<Webhook> {
    return this.#transport.call({ operation: "GET /webhooks/{id}", parts: [id] }, options);
  }

  /** Makes a webhook. Its secret is in this answer only. */
  create(webhook: NewWebhook, options: CreateOptions = {}): Promise<CreatedWebhook> {
    const headers = { "idempotency-key": options.idempotencyKey ?? crypto.randomUUID() };
    return this.#transport.call({ operation: "POST /webhooks", headers, body: webhook }, options);
  }

  /** Changes some fields and answers with all of them. */
  update(id: string, change: WebhookChange, options?: CallOptions): Promise<Webhook> {
    return this.#transport.call({ operation: "PATCH /webhooks/{id}", parts: [id], body: change }, options);
  }

  /** Removes the webhook with its deliveries, also those that wait. */
  async remove(id: string, options?: CallOptions): Promise<void> {
    const call = { operation: "DELETE /webhooks/{id}", parts: [id], isRepeatable: false } as const;
    await this.#transport.call(call, options);
  }

  /** Sends nothing until it is resumed. What comes meanwhile is kept for it. */
  pause(id: string, options?: CallOptions): Promise<Webhook> {
    return this.#transport.call({ operation: "POST /webhooks/{id}/pause", parts: [id] }, options);
  }

  /** Sends again, first what is kept. */
  resume(id: string, options?: CallOptions): Promise<Webhook> {
    return this.#transport.call({ operation: "POST /webhooks/{id}/resume", parts: [id] }, options);
  }

  /** Sends a request without events, and says what came of it. */
  ping(id: string, options?: CallOptions): Promise<WebhookPing> {
    const operation = "POST /webhooks/{id}/ping";
    // The receiver would get another one.
    return this.#transport.call({ operation, parts: [id], isRepeatable: false }, options);
  }

  /** A new secret. The old one signs beside it for `overlapSeconds`: a day if not given, 0 if others have seen it. */
  rotateSecret(
    id: string,
    rotation: { overlapSeconds?: number | undefined } = {},
    options?: CallOptions,
  ): Promise<WebhookSecret> {
    const operation = "POST /webhooks/{id}/secret";
    // The second time, the secret that receivers have is the one before the last, and signs no more.
    return this.#transport.call({ operation, parts: [id], body: rotation, isRepeatable: false }, options);
  }

  /** The log: each request with what came of it, newest first. */
  deliveries(id: string, query: WebhookDeliveriesQuery = {}, options?: CallOptions): List<WebhookDelivery> {
    return new List((cursor) => {
      const operation = "GET /webhooks/{id}/deliveries";
      const call = { operation, parts: [id], query: { ...query, cursor } } as const;
      return this.#transport.call<Page<WebhookDelivery>>(call, options);
    });
  }

  /** Sends dead deliveries again: those that are named, or all. */
  replay(
    id: string,
    which: { deliveries?: readonly string[] | undefined } = {},
    options?: CallOptions,
  ): Promise<WebhookReplay> {
    const operation = "POST /webhooks/{id}/replay";
    // The second time none of them is dead.
    return this.#transport.call({ operation, parts: [id], body: which, isRepeatable: false }, options);
  }
}
