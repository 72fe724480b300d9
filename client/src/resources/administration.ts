import { List, type Page } from "../list.js";
import type { CallOptions, Transport } from "../transport.js";
import type {
  AuditEntry,
  AuditQuery,
  Block,
  BlockKind,
  NewBlock,
  PageQuery,
  Settings,
  SettingsChange,
} from "../types.js";

/** `kraiter.settings`. */
export class TenantSettings {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(options?: CallOptions): Promise<Settings> {
    return this.#transport.call({ operation: "GET /settings" }, options);
  }

  /** Changes some settings and answers with all of them. */
  update(change: SettingsChange, options?: CallOptions): Promise<Settings> {
    return this.#transport.call({ operation: "PATCH /settings", body: change }, options);
  }
}

/** `kraiter.blocks`: sends and destination hosts that the edge refuses to serve. */
export class Blocks {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(query: PageQuery = {}, options?: CallOptions): List<Block> {
    return new List((cursor) => {
      const call = { operation: "GET /blocks", query: { ...query, cursor } } as const;
      return this.#transport.call<Page<Block>>(call, options);
    });
  }

  /** Blocks a send or a host. Edges know within a minute. */
  put(block: NewBlock, options?: CallOptions): Promise<Block> {
    return this.#transport.call({ operation: "PUT /blocks", body: block }, options);
  }

  /** Lifts a block. */
  async remove({ kind, value }: { kind: BlockKind; value: string }, options?: CallOptions): Promise<void> {
    const call = { operation: "DELETE /blocks", query: { kind, value }, isRepeatable: false } as const;
    await this.#transport.call(call, options);
  }
}

/** `kraiter.audit`: what was done to settings, keys, blocks and contacts' data. */
export class Audit {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first. */
  list(query: AuditQuery = {}, options?: CallOptions): List<AuditEntry> {
    return new List((cursor) => {
      const call = { operation: "GET /audit", query: { ...query, cursor } } as const;
      return this.#transport.call<Page<AuditEntry>>(call, options);
    });
  }
}
