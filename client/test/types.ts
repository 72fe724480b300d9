/** What the types take and refuse. Checked by `npm run check`, never run. */

import {
  type CreatedWebhook,
  type Event,
  Kraiter,
  KraiterError,
  type List,
  type Send,
  type Skipped,
  verifyWebhook,
  type WebhookDelivery,
} from "@kraiter/tracking";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(_?: T): void => {};

export async function typed(kraiter: Kraiter): Promise<void> {
  const send: Send = await kraiter.sends.get("id");
  holds<Equal<typeof send.registeredAt, Date>>();
  holds<Equal<NonNullable<typeof send.openedAt>, Date>>();
  holds<Equal<typeof send.id, string>>();

  const events: List<Event> = kraiter.events.list({ type: ["email.opened"], from: new Date(), to: "2026-01-31T00:00:00Z" });
  for await (const event of events) holds<Equal<typeof event.timestamp, Date>>();

  await kraiter.rewrite({ contact: "a@example.com", html: "", sentAt: new Date(), options: { pixel: "top" } });
  // @ts-expect-error: a mail has a contact
  await kraiter.rewrite({ html: "" });
  // @ts-expect-error: not a place for a pixel
  await kraiter.rewrite({ contact: "a@example.com", html: "", options: { pixel: "left" } });
  // @ts-expect-error: not a status
  await kraiter.sends.update("id", { status: "lost" });
  // @ts-expect-error: lists care for cursors themselves
  kraiter.events.list({ cursor: "x" });

  const recipients = [{ contact: "a@example.com", sendId: "row-7" }];
  for await (const { recipient, mail, error } of kraiter.rewriteBatch({ html: "" }, recipients)) {
    // The caller's own object, with what it is known to have.
    holds<Equal<typeof recipient.sendId, string>>();
    if (error) holds<Equal<typeof error, KraiterError>>();
    else holds<Equal<typeof mail.html, string>>();
  }

  // @ts-expect-error: what all share is kept to look at, not what one has
  await kraiter.rewrite({ contact: "a@example.com", html: "", keepPreview: true });
  kraiter.rewriteBatch({ html: "", keepPreview: true, sentAt: new Date() }, recipients);
  const { keptAt } = await kraiter.campaigns.preview("name");
  holds<Equal<typeof keptAt, Date>>();

  // @ts-expect-error: a stream has no beginning but now
  kraiter.events.stream({ from: new Date() });
  for await (const { event, skipped } of kraiter.events.stream({ verdict: "human" }, { lastEventId: "id" })) {
    if (skipped) holds<Equal<typeof skipped, Skipped>>();
    else holds<Equal<typeof event, Event>>();
  }

  const created: CreatedWebhook = await kraiter.webhooks.create({ url: "", types: ["email.opened"], verdicts: null });
  holds<Equal<typeof created.secret, string>>();
  holds<Equal<typeof created.createdAt, Date>>();
  // @ts-expect-error: a webhook leads somewhere
  await kraiter.webhooks.create({ types: null });
  const log: List<WebhookDelivery> = kraiter.webhooks.deliveries(created.id, { status: "dead", limit: 1 });
  for await (const { nextAttemptAt } of log) holds<Equal<typeof nextAttemptAt, Date | null>>();
  await kraiter.webhooks.rotateSecret(created.id, { overlapSeconds: 0 });

  const { data } = verifyWebhook("", new Headers(), [created.secret]);
  holds<Equal<typeof data, Event[]>>();
  verifyWebhook(Buffer.of(), { "webhook-id": "", "set-cookie": [""], host: undefined }, created.secret);
}
