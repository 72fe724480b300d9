/** Webhooks and the stream of events through the real service, to a receiver in this process. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { verifyWebhook } from "@kraiter/tracking";

import { address, fresh, kraiter } from "./service.js";
import { pause, until } from "./stand-in.js";

/** Answers with `receiver.status` and keeps what came. The service may reach 127.0.0.1 in the tests only. */
async function receiving(t) {
  const receiver = { status: 200, requests: [] };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    receiver.requests.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(receiver.status).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  receiver.url = `http://127.0.0.1:${server.address().port}/hook`;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return receiver;
}

async function hook(t, fields) {
  const made = await kraiter.webhooks.create(fields);
  t.after(() => kraiter.webhooks.remove(made.id).catch(() => {}));
  return made;
}

async function bounced() {
  const { id } = await kraiter.sends.create({ contact: address() });
  return kraiter.sends.update(id, { status: "bounced" });
}

test("a webhook is made once, found, changed, paused and removed", async (t) => {
  const { url } = await receiving(t);
  const idempotencyKey = fresh("key");
  const webhook = { url, types: ["email.bounced"], verdicts: ["human"], description: "CRM" };
  const { secret, ...made } = await kraiter.webhooks.create(webhook, { idempotencyKey });
  assert.match(secret, /^whsec_/);
  assert.ok(made.createdAt instanceof Date);
  assert.equal((await kraiter.webhooks.create(webhook, { idempotencyKey })).id, made.id);
  assert.deepEqual(await kraiter.webhooks.get(made.id), made);
  const all = [];
  for await (const { id } of kraiter.webhooks.list({ limit: 1 })) all.push(id);
  assert.equal(all.filter((id) => id === made.id).length, 1);
  const changed = await kraiter.webhooks.update(made.id, { types: null, batchSize: 7 });
  assert.deepEqual(changed, { ...made, types: null, batchSize: 7 });
  const { paused } = await kraiter.webhooks.pause(made.id);
  assert.ok(paused.at instanceof Date);
  assert.equal((await kraiter.webhooks.resume(made.id)).paused, null);
  assert.equal(await kraiter.webhooks.remove(made.id), undefined);
  await assert.rejects(kraiter.webhooks.get(made.id), { code: "unknown_webhook", status: 404 });
  await assert.rejects(kraiter.webhooks.create({ url: "http://10.0.0.1/" }), { code: "refused_url", field: "url" });
});

test("what a receiver gets verifies, during and after a rotation, and is in the log", async (t) => {
  const receiver = await receiving(t);
  const { id, secret: first } = await hook(t, { url: receiver.url, types: ["email.bounced"] });
  assert.equal((await kraiter.webhooks.ping(id)).accepted, true);
  const [ping] = receiver.requests;
  const { type, timestamp, data } = verifyWebhook(ping.body, ping.headers, first);
  assert.deepEqual([type, data], ["ping", []]);
  assert.ok(timestamp instanceof Date);

  const { secret: second, previousSecretUntil } = await kraiter.webhooks.rotateSecret(id, { overlapSeconds: 600 });
  assert.ok(previousSecretUntil instanceof Date);
  const send = await bounced();
  const sent = () => receiver.requests.filter(({ body }) => body.includes(send.id));
  await until(() => sent().length > 0);
  const [{ body, headers }] = sent();
  for (const secret of [first, second, [first, second]]) {
    const event = verifyWebhook(body, headers, secret).data.find(({ sendId }) => sendId === send.id);
    assert.deepEqual([event.type, event.timestamp], ["email.bounced", send.bouncedAt]);
  }
  assert.throws(() => verifyWebhook(`${body} `, headers, second), { code: "unverified_webhook" });

  const { secret: third } = await kraiter.webhooks.rotateSecret(id, { overlapSeconds: 0 });
  await kraiter.webhooks.ping(id);
  const last = receiver.requests.at(-1);
  verifyWebhook(last.body, last.headers, third);
  assert.throws(() => verifyWebhook(last.body, last.headers, second), { code: "unverified_webhook" });

  const isLogged = async () => {
    const deliveries = await kraiter.webhooks.deliveries(id, { status: "delivered" }).take(9);
    return deliveries.find((one) => one.id === headers["webhook-id"]);
  };
  let delivery;
  for (const patience = Date.now() + 20_000; !delivery && Date.now() < patience; await pause(50)) delivery = await isLogged();
  assert.ok(delivery.deliveredAt instanceof Date && delivery.createdAt instanceof Date);
  assert.deepEqual(await kraiter.webhooks.replay(id), { replayed: 0 });
  assert.deepEqual(await kraiter.webhooks.replay(id, { deliveries: [delivery.id] }), { replayed: 0 });
});

test("a receiver that fails is told of, and its deliveries wait", async (t) => {
  const receiver = await receiving(t);
  receiver.status = 500;
  const { id } = await hook(t, { url: receiver.url, types: ["email.bounced"] });
  const ping = await kraiter.webhooks.ping(id);
  assert.deepEqual([ping.accepted, ping.status], [false, 500]);
  const { id: sendId } = await bounced();
  await until(() => receiver.requests.some(({ body }) => body.includes(sendId)));
  const [waiting] = await kraiter.webhooks.deliveries(id, { status: "pending" }).take(1);
  assert.ok(waiting.nextAttemptAt instanceof Date);
  assert.deepEqual(await kraiter.webhooks.deliveries(id, { status: "dead" }).take(1), []);
});

test("events arrive as they are listed, those that are asked for, and after a break those of meanwhile", async () => {
  const [campaign, other] = [fresh("live"), fresh("other")];
  const create = (sendId, campaign) => kraiter.sends.create({ contact: address(), sendId, campaign });
  // The stream begins at some time after it is asked for: before that, nothing is seen.
  const traffic = setInterval(() => create(fresh("send"), campaign).catch(() => {}), 300);
  const signal = AbortSignal.timeout(60_000);
  let first;
  for await (const { event } of kraiter.events.stream({ campaign, type: "email.sent" }, { signal })) {
    if (!event) continue;
    first = event;
    break;
  }
  clearInterval(traffic);
  assert.ok(first.timestamp instanceof Date);
  const [listed] = await kraiter.events.list({ sendId: first.sendId, type: "email.sent" }).take(1);
  assert.deepEqual(first, listed);

  await create(fresh("not-wanted"), other);
  const meanwhile = await create(fresh("meanwhile"), campaign);
  for await (const { event } of kraiter.events.stream({ campaign }, { signal, lastEventId: first.id })) {
    if (!event) continue;
    assert.equal(event.campaign, campaign);
    assert.notEqual(event.id, first.id);
    if (event.sendId === meanwhile.id) break;
  }
});

test("a stream of nobody's is refused", async () => {
  const stream = kraiter.events.stream({ contact: address("nobody") });
  await assert.rejects(stream.next(), { code: "unknown_contact" });
});
