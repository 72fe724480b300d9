/** Every method against the real service. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Kraiter, KraiterError, newSendId } from "@kraiter/tracking";

import { address, apiKey, baseUrl, fresh, kraiter } from "./service.js";

const html = '<p><a href="https://shop.example/?a=1&amp;b=2">Look</a></p>';
const collected = async (list) => {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
};

test("a mail is rewritten, and its send and contact are known", async () => {
  const contact = address();
  const mail = await kraiter.rewrite({ contact, campaign: "welcome", html });
  assert.match(mail.html, /\/c\//);
  assert.equal(mail.links[0].url, "https://shop.example/?a=1&b=2");
  const send = await kraiter.sends.get(mail.sendId);
  assert.equal(send.contact, contact);
  assert.ok(send.sentAt instanceof Date);
  assert.equal(send.openedAt, null);
  const found = await kraiter.contacts.get(contact);
  assert.equal(found.id, mail.contactId);
  assert.equal(found.emailsSentCount, 1);
  assert.deepEqual(found.lastEmailSentAt, send.sentAt);
});

test("dates are Date wherever the document says so, and texts stay texts", async () => {
  const send = await kraiter.sends.get("spring-sale-1");
  assert.ok(send.clickedAt instanceof Date);
  assert.equal(send.opens.length, 2);
  assert.ok(send.opens.every((open) => open.timestamp instanceof Date));
  const [click] = send.clicks;
  assert.equal(click.url, "https://shop.example/shoes?a=1&b=2");
  const { points, from } = await kraiter.stats({ campaign: "spring-sale", interval: "hour" });
  assert.ok(from instanceof Date);
  assert.ok(points[0].start instanceof Date);
  assert.equal(typeof points[0].local, "string");
  // A campaign that is called like a moment is a name all the same.
  const campaign = "2026-01-31T09:30:00.000Z";
  const named = await kraiter.sends.create({ contact: address(), campaign });
  assert.equal(named.campaign, campaign);
});

test("a send is created once, however often it is created", async () => {
  const send = { sendId: newSendId(), contact: address(), sentAt: new Date("2026-01-31T09:30:00Z") };
  const first = await kraiter.sends.create(send);
  const second = await kraiter.sends.create({ ...send, sentAt: "2026-01-31T09:30:00Z" });
  assert.deepEqual(second, first);
  assert.deepEqual(first.sentAt, send.sentAt);
  assert.equal((await kraiter.contacts.get(send.contact)).emailsSentCount, 1);
});

test("what the mail server reports is kept", async () => {
  const { id } = await kraiter.sends.create({ contact: address(), status: "queued" });
  const timestamp = new Date(Date.now() - 60_000);
  const sent = await kraiter.sends.update(id, { status: "delivered", timestamp });
  assert.equal(sent.status, "delivered");
  assert.deepEqual(sent.deliveredAt, timestamp);
});

test("reports in bulk are answered one by one, a bad one by itself", async () => {
  const ids = [];
  for (let number = 0; number < 3; number += 1) {
    ids.push((await kraiter.sends.create({ contact: address() })).id);
  }
  const reports = [
    { sendId: ids[0], status: "delivered" },
    { sendId: "of-nobody", status: "delivered" },
    { sendId: ids[1], status: "bounced", timestamp: new Date() },
    { sendId: ids[2], status: "lost" },
  ];
  const results = await collected(kraiter.sends.reportStatuses(reports));
  assert.deepEqual(
    results.map(({ report, status, error }) => [report, status ?? error.code]),
    [
      [reports[0], "delivered"],
      [reports[1], "unknown_send"],
      [reports[2], "bounced"],
      [reports[3], "invalid_value"],
    ],
  );
  assert.ok(results[1].error instanceof KraiterError);
  assert.equal(results[1].error.status, 404);
});

test("a contact is found by what is true of it", async () => {
  const contact = address();
  await kraiter.sends.create({ contact });
  const isIt = { property: "contact.email", operator: "equals", value: contact };
  const wasSent = { property: "contact.lastEmailSentAt", operator: "after", value: new Date(Date.now() - 60_000) };
  const found = await collected(kraiter.contacts.search([isIt, wasSent]));
  assert.deepEqual(found.map(({ email }) => email), [contact]);
  assert.equal(await kraiter.contacts.match(contact, [wasSent]), true);
  const opened = { property: "contact.emailsOpenedCount", operator: "greaterThan", value: 0 };
  assert.equal(await kraiter.contacts.match(contact, [opened]), false);
});

test("lists go on over pages, and are read only as far as they are asked for", async () => {
  const contact = address();
  for (let number = 0; number < 5; number += 1) await kraiter.sends.create({ contact });
  const events = kraiter.contacts.events(contact, { limit: 2 });
  const all = await collected(events);
  assert.equal(all.length, 5);
  assert.equal(new Set(all.map(({ id }) => id)).size, 5);
  assert.ok(all.every(({ timestamp }) => timestamp instanceof Date));
  assert.deepEqual((await events.take(3)).map(({ id }) => id), all.slice(0, 3).map(({ id }) => id));
  const first = await events.page();
  const second = await events.page(first.nextCursor);
  assert.deepEqual(second.items.map(({ id }) => id), all.slice(2, 4).map(({ id }) => id));
  const searched = kraiter.contacts.search([], { limit: 1 });
  assert.equal((await searched.take(2)).length, 2);
});

test("events are listed by type, verdict and time", async () => {
  const query = { sendId: "spring-sale-1", type: ["email.opened", "email.clicked"] };
  assert.equal((await collected(kraiter.events.list(query))).length, 3);
  const machines = await collected(kraiter.events.list({ ...query, verdict: ["machine"] }));
  assert.ok(machines.length >= 1 && machines.every(({ verdict }) => verdict === "machine"));
  const [first] = await collected(kraiter.events.list({ sendId: "spring-sale-1", type: "email.sent" }));
  const before = await collected(kraiter.events.list({ sendId: "spring-sale-1", to: first.timestamp }));
  assert.deepEqual(before, []);
});

test("statistics are those of the campaign", async () => {
  const stats = await kraiter.stats({ campaign: "spring-sale" });
  assert.equal(stats.totals.opens, 2);
  const today = new Date();
  const tomorrow = new Date(today.getTime() + 86_400_000);
  const [link] = await collected(kraiter.stats.links({ campaign: "spring-sale", from: today, to: tomorrow }));
  assert.equal(link.url, "https://shop.example/shoes?a=1&b=2");
  assert.equal(link.clicks, 1);
  const clients = await kraiter.stats.clients({ campaign: "spring-sale" });
  assert.equal(clients.totals.opens, 2);
  assert.ok(clients.mailClients.some(({ name }) => name === "Thunderbird"));
  const campaign = await kraiter.campaigns.get("spring-sale");
  assert.equal(campaign.totals.clicks, 1);
  assert.ok(campaign.firstActivityHour instanceof Date);
  const names = (await collected(kraiter.campaigns.list())).map(({ name }) => name);
  assert.ok(names.includes("spring-sale"));
});

test("the mail of a batch is kept to look at, with the clicks on its links", async () => {
  const campaign = fresh("previewed");
  const results = await collected(kraiter.rewriteBatch({ campaign, html, keepPreview: true }, [{ contact: address() }]));
  assert.equal(results[0].error, undefined);
  const preview = await kraiter.campaigns.preview(campaign);
  assert.match(preview.html, /#kraiter-link-0/);
  assert.ok(preview.keptAt instanceof Date);
  assert.deepEqual(preview.links.map(({ url, clicks }) => [url, clicks]), [["https://shop.example/?a=1&b=2", 0]]);
  await assert.rejects(kraiter.campaigns.preview(fresh("nothing")), { code: "unknown_preview" });
});

test("consent that is withdrawn keeps mail untracked until it is given again", async () => {
  const contact = address();
  assert.equal((await kraiter.contacts.consent.withdraw(contact)).trackingConsent, "withdrawn");
  const untracked = await kraiter.rewrite({ contact, html });
  assert.deepEqual(untracked.warnings, ["no_consent"]);
  assert.equal((await kraiter.contacts.consent.give(contact)).trackingConsent, "given");
});

test("a contact is exported and erased", async () => {
  const contact = address();
  await kraiter.sends.create({ contact });
  const kept = await kraiter.contacts.export(contact);
  assert.equal(kept.contact.email, contact);
  assert.ok(kept.exportedAt instanceof Date);
  assert.ok(kept.sends[0].sentAt instanceof Date);
  assert.ok(kept.events[0].timestamp instanceof Date);
  const erased = await kraiter.contacts.erase(contact);
  assert.ok(erased.erasedAt instanceof Date);
  assert.equal(erased.sends, 1);
  await assert.rejects(kraiter.contacts.get(contact), { code: "unknown_contact", status: 404 });
  const entries = await kraiter.audit.list({ action: "contact.erased", limit: 1 }).take(1);
  assert.ok(entries[0].timestamp instanceof Date);
});

test("settings are read and changed", async () => {
  const before = await kraiter.settings.get();
  const after = await kraiter.settings.update({ retentionDays: before.retentionDays - 1 });
  assert.deepEqual(after, { ...before, retentionDays: before.retentionDays - 1 });
  assert.deepEqual(await kraiter.settings.update({ retentionDays: before.retentionDays }), before);
});

test("a host is blocked and unblocked", async () => {
  const value = `${fresh("evil")}.example`;
  const block = await kraiter.blocks.put({ kind: "host", value, reason: "phishing" });
  assert.ok(block.createdAt instanceof Date);
  assert.ok((await collected(kraiter.blocks.list())).some((one) => one.value === value));
  assert.equal(await kraiter.blocks.remove({ kind: "host", value }), undefined);
  await assert.rejects(kraiter.blocks.remove({ kind: "host", value }), { code: "unknown_block" });
});

test("names that mean something in a URL arrive as they are", async () => {
  for (const local of ["a+b", "a/b", "a%2Fb", "a?b#c", "ä", "a&b=c"]) {
    const contact = `${local}@${fresh("odd")}.example`;
    await kraiter.sends.create({ contact });
    assert.equal((await kraiter.contacts.get(contact)).emailsSentCount, 1, contact);
    assert.equal((await kraiter.events.list({ contact }).take(9)).length, 1, contact);
  }
  for (const id of ["..", ".", ""]) {
    await assert.rejects(async () => kraiter.sends.get(id), TypeError);
  }
});

test("an error says what was wrong with which field", async () => {
  const failing = kraiter.rewrite({ contact: "nobody", html });
  const error = await failing.then(assert.fail, (error) => error);
  assert.ok(error instanceof KraiterError && error instanceof Error);
  assert.equal(error.status, 422);
  assert.equal(error.code, "invalid_email");
  assert.equal(error.field, "contact");
  assert.ok(error.message.includes(error.detail));
  const stranger = new Kraiter({ apiKey: "krt_nobody", baseUrl });
  await assert.rejects(stranger.settings.get(), { status: 401, code: "invalid_api_key" });
});

test("the key is not shown when the client is", async () => {
  const { inspect } = await import("node:util");
  assert.ok(!inspect(kraiter, { depth: 9, showHidden: true }).includes(apiKey));
  assert.ok(!JSON.stringify(kraiter).includes(apiKey));
});
