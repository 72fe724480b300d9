import { List, type Page } from "../list.js";
import type { CallOptions, Transport } from "../transport.js";
import type {
  Campaign,
  CampaignsQuery,
  ClientStats,
  ClientStatsQuery,
  LinkStats,
  LinkStatsQuery,
  Preview,
  Stats,
  StatsQuery,
} from "../types.js";

/** `kraiter.stats`: a function that has functions. */
export interface Statistics {
  /** Counts by hour or day, totals and rates. */
  (query?: StatsQuery, options?: CallOptions): Promise<Stats>;
  /** Links of a campaign or send that were clicked, most clicks first. */
  links(query: LinkStatsQuery, options?: CallOptions): List<LinkStats>;
  /** Opens and clicks by mail client, browser, system and device. */
  clients(query?: ClientStatsQuery, options?: CallOptions): Promise<ClientStats>;
}

/** @internal */
export function statistics(transport: Transport): Statistics {
  const stats = (query?: StatsQuery, options?: CallOptions) =>
    transport.call<Stats>({ operation: "GET /stats", query }, options);
  const links = (asked: LinkStatsQuery, options?: CallOptions) =>
    new List((cursor) => {
      const query = { ...asked, from: day(asked.from), to: day(asked.to), cursor };
      return transport.call<Page<LinkStats>>({ operation: "GET /stats/links", query }, options);
    });
  const clients = (query?: ClientStatsQuery, options?: CallOptions) =>
    transport.call<ClientStats>({ operation: "GET /stats/clients", query }, options);
  return Object.assign(stats, { links, clients });
}

/** Links are counted by days of UTC, and asked for by their name. */
function day(time: Date | string | undefined): string | undefined {
  return time instanceof Date ? time.toISOString().slice(0, "2026-01-31".length) : time;
}

/** `kraiter.campaigns`. */
export class Campaigns {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A campaign with its totals and rates. */
  get(name: string, options?: CallOptions): Promise<Campaign> {
    return this.#transport.call({ operation: "GET /campaigns/{name}", parts: [name] }, options);
  }

  /** The mail that its newest batch with `keepPreview` had, with the clicks on each link. */
  preview(name: string, options?: CallOptions): Promise<Preview> {
    return this.#transport.call({ operation: "GET /campaigns/{name}/preview", parts: [name] }, options);
  }

  /** Campaigns with their totals, by name. */
  list(query: CampaignsQuery = {}, options?: CallOptions): List<Campaign> {
    return new List((cursor) => {
      const call = { operation: "GET /campaigns", query: { ...query, cursor } } as const;
      return this.#transport.call<Page<Campaign>>(call, options);
    });
  }
}
