/** What the types take and refuse. Checked by `npm run check`, never run. */

import { Kraiter, KraiterError, type List, type Event, type Send } from "@kraiter/tracking";

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
}
