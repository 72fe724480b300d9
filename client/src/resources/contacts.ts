import { List, type Page } from "../list.js";
import type { CallOptions, Transport } from "../transport.js";
import type { Condition, Contact, ContactExport, Erasure, Event, PageQuery } from "../types.js";

/** `kraiter.contacts`. A contact is named by its address or its id. */
export class Contacts {
  readonly #transport: Transport;
  readonly consent: Consent;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
    this.consent = new Consent(transport);
  }

  /** The contact with its counters. */
  get(emailOrId: string, options?: CallOptions): Promise<Contact> {
    return this.#transport.call({ operation: "GET /contacts/{emailOrId}", parts: [emailOrId] }, options);
  }

  /** Contacts that meet all conditions. */
  search(conditions: readonly Condition[], { limit }: PageQuery = {}, options?: CallOptions): List<Contact> {
    return new List((cursor) => {
      const body = { conditions, limit, cursor };
      return this.#transport.call<Page<Contact>>({ operation: "POST /contacts/search", body }, options);
    });
  }

  /** Whether the contact meets all conditions now. */
  async match(emailOrId: string, conditions: readonly Condition[], options?: CallOptions): Promise<boolean> {
    const operation = "POST /contacts/{emailOrId}/match";
    const call = { operation, parts: [emailOrId], body: { conditions } } as const;
    const { matches } = await this.#transport.call<{ matches: boolean }>(call, options);
    return matches;
  }

  /** The contact's events, newest first. */
  events(emailOrId: string, { limit }: PageQuery = {}, options?: CallOptions): List<Event> {
    return new List((cursor) => {
      const operation = "GET /contacts/{emailOrId}/events";
      const call = { operation, parts: [emailOrId], query: { limit, cursor } } as const;
      return this.#transport.call<Page<Event>>(call, options);
    });
  }

  /** Everything that is kept about the contact. */
  export(emailOrId: string, options?: CallOptions): Promise<ContactExport> {
    const operation = "GET /contacts/{emailOrId}/export";
    return this.#transport.call({ operation, parts: [emailOrId] }, options);
  }

  /** Erases the contact, its sends and its events for good. */
  erase(emailOrId: string, options?: CallOptions): Promise<Erasure> {
    const operation = "DELETE /contacts/{emailOrId}";
    // By its address a contact that was erased is not found again.
    return this.#transport.call({ operation, parts: [emailOrId], isRepeatable: false }, options);
  }
}

/** `kraiter.contacts.consent`. */
export class Consent {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The contact agrees to being tracked. */
  give(emailOrId: string, options?: CallOptions): Promise<Contact> {
    return this.#transport.call({ operation: "PUT /contacts/{emailOrId}/consent", parts: [emailOrId] }, options);
  }

  /** The contact withdraws its consent: mail comes back untracked, and nothing more is recorded. */
  withdraw(emailOrId: string, options?: CallOptions): Promise<Contact> {
    return this.#transport.call({ operation: "DELETE /contacts/{emailOrId}/consent", parts: [emailOrId] }, options);
  }
}
