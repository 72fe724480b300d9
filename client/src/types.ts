/** Names for what the generated types call by path. */

import type { components, operations } from "./generated/schema.js";

type Schemas = components["schemas"];
type Simplified<T> = { [K in keyof T]: T[K] };

/** A moment: a `Date`, or its text in RFC 3339. */
export type Time = Date | string;
/** What stands in a body; dates may be written as text. */
type Body<T> = T extends Date ? Time : T extends object ? { [K in keyof T]: Body<T[K]> } : T;
type Query<Name extends keyof operations> = NonNullable<operations[Name]["parameters"]["query"]>;
type Times = "from" | "to" | "activeSince";
type Several = "type" | "verdict";
type OneOrSeveral<T> = NonNullable<T> extends readonly (infer Item)[] ? Item | readonly Item[] : T;
/** Parameters of a URL as JavaScript has them: dates, and lists instead of commas. */
type Asked<Name extends keyof operations> = Simplified<{
  [K in Exclude<keyof Query<Name>, "cursor">]?:
    | (K extends Times ? Time : K extends Several ? OneOrSeveral<Query<Name>[K]> : Query<Name>[K])
    | undefined;
}>;

export type Contact = Schemas["Contact"];
export type ContactExport = Schemas["ContactExport"];
export type Condition = Omit<Schemas["Condition"], "value"> & { value?: string | number | Date };
export type Erasure = Schemas["Erasure"];
export type Event = Schemas["Event"];
export type EventType = Schemas["EventType"];
export type Send = Schemas["Send"];
export type SendStatus = Schemas["Status"];
export type NewSend = Body<Schemas["SendRequest"]>;
export type StatusChange = Body<Schemas["StatusChange"]>;
export type Mail = Body<Schemas["RewriteRequest"]>;
export type RewrittenMail = Schemas["RewriteAnswer"];
export type Stats = Schemas["Stats"];
export type LinkStats = Schemas["LinkStats"];
export type ClientStats = Schemas["ClientStats"];
export type Campaign = Schemas["Campaign"];
export type Settings = Schemas["Settings"];
export type SettingsChange = Body<Schemas["SettingsChange"]>;
export type Block = Schemas["Block"];
export type NewBlock = Schemas["BlockRequest"];
export type BlockKind = Schemas["BlockKind"];
export type AuditEntry = Schemas["AuditEntry"];
export type Preview = Schemas["Preview"];
export type Webhook = Schemas["Webhook"];
export type NewWebhook = Body<Schemas["WebhookRequest"]>;
/** A webhook that was just made, with its secret, which is not shown again. */
export type CreatedWebhook = Schemas["NewWebhook"];
export type WebhookChange = Body<Schemas["WebhookChange"]>;
export type WebhookDelivery = Schemas["WebhookDelivery"];
export type WebhookPing = Schemas["WebhookPing"];
export type WebhookReplay = Schemas["WebhookReplay"];
export type WebhookSecret = Schemas["WebhookSecret"];
/** What a webhook's receiver gets. */
export type WebhookPayload = Schemas["WebhookPayload"];

export type EventsQuery = Asked<"listEvents">;
export type StatsQuery = Asked<"getStats">;
export type LinkStatsQuery = Asked<"listLinkStats">;
export type ClientStatsQuery = Asked<"getClientStats">;
export type CampaignsQuery = Asked<"listCampaigns">;
export type AuditQuery = Asked<"listAuditEntries">;
export type StreamQuery = Asked<"streamEvents">;
export type WebhookDeliveriesQuery = Asked<"listWebhookDeliveries">;
/** How long pages are, 1 to 1000 items; 100 if not given. */
export interface PageQuery {
  limit?: number | undefined;
}

/** What all recipients of a batch share. */
export type SharedMail = Body<Schemas["BatchHead"]>;
/** One recipient of a batch, with what is its own. */
export type Recipient = Pick<Mail, "contact"> & Partial<Omit<Mail, "options" | "dryRun">>;
/** What a mail server reports of a send. */
export type StatusReport = StatusChange & { sendId: string };
/** Events that a stream did not send. `events.list({ from })` has them. */
export interface Skipped {
  /** They came too late or too many at once; were read too slowly; or came while the stream was cut. */
  reason: "late" | "slow" | "away";
  /** How many events of the tenant, whatever was asked for; `undefined` if nobody counted. */
  count?: number;
  /** They happened at or after this time. */
  from: Date;
}
