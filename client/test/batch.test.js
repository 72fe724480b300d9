/** Batches through the real service. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";

import { Kraiter, newSendId } from "@kraiter/tracking";

import { apiKey, baseUrl, fresh, kraiter } from "./service.js";

const html = '<p><a href="https://shop.example/">Look</a></p>';

async function* people(group, count) {
  for (let number = 0; number < count; number += 1) yield { contact: `${number}@${group}.example` };
}

test("each recipient gets a mail of its own, and a bad one an error", async () => {
  const group = fresh("batch");
  const campaign = fresh("campaign");
  const recipients = (async function* () {
    yield* people(group, 700);
    yield { contact: "nobody" };
    yield { contact: `last@${group}.example`, html: "<p>Only for you</p>" };
  })();
  const ids = new Set();
  const results = [];
  for await (const result of kraiter.rewriteBatch({ campaign, html }, recipients)) {
    results.push(result);
    if (result.mail) ids.add(result.mail.sendId);
  }
  assert.equal(results.length, 702);
  assert.equal(ids.size, 701);
  assert.equal(results[700].error.code, "invalid_email");
  assert.equal(results[700].error.field, "contact");
  assert.match(results[701].mail.html, /Only for you/);
  const send = await kraiter.sends.get(results[699].mail.sendId);
  assert.deepEqual([send.contact, send.campaign], [`699@${group}.example`, campaign]);
});

test("a batch whose connections break again and again registers everybody once", async (t) => {
  const group = fresh("broken");
  const campaign = fresh("campaign");
  const { url, connections } = await breaking(t);
  const unlucky = new Kraiter({ apiKey, baseUrl: url });
  let taken = 0;
  for await (const { recipient, mail, error } of unlucky.rewriteBatch({ campaign, html }, people(group, 4_000))) {
    assert.equal(error, undefined);
    assert.equal(recipient.contact, `${taken}@${group}.example`);
    assert.match(mail.html, /\/c\//);
    taken += 1;
  }
  assert.equal(taken, 4_000);
  assert.ok(connections() > 2, `${connections()} connections`);
  const { totals } = await kraiter.stats({ campaign });
  assert.equal(totals.sent, 4_000);
});

test("reports go through broken connections, too", async (t) => {
  const campaign = fresh("campaign");
  const sendIds = [];
  const recipients = (async function* () {
    for await (const person of people(fresh("reported"), 1_500)) {
      sendIds.push(newSendId());
      yield { ...person, sendId: sendIds.at(-1) };
    }
  })();
  for await (const { error } of kraiter.rewriteBatch({ campaign, html }, recipients)) assert.equal(error, undefined);
  const { url } = await breaking(t, 20_000);
  const unlucky = new Kraiter({ apiKey, baseUrl: url });
  const reports = sendIds.map((sendId) => ({ sendId, status: "delivered" }));
  let taken = 0;
  for await (const { report, status } of unlucky.sends.reportStatuses(reports)) {
    assert.equal(status, "delivered");
    assert.equal(report.sendId, sendIds[taken]);
    taken += 1;
  }
  assert.equal(taken, sendIds.length);
  assert.equal((await kraiter.stats({ campaign })).totals.delivered, sendIds.length);
});

/** Between the client and the service: each connection is cut after some bytes of answers. */
async function breaking(t, bytes = 700_000) {
  const { hostname, port } = new URL(baseUrl);
  const open = new Set();
  let count = 0;
  const server = createServer((downstream) => {
    count += 1;
    let left = bytes;
    const upstream = connect(Number(port), hostname);
    for (const socket of [downstream, upstream]) {
      open.add(socket);
      socket.on("error", () => {});
    }
    downstream.pipe(upstream);
    downstream.on("close", () => upstream.destroy());
    upstream.on("close", () => downstream.end());
    upstream.on("data", (chunk) => {
      if (chunk.length >= left) {
        downstream.end(chunk.subarray(0, left));
        upstream.destroy();
        return;
      }
      left -= chunk.length;
      if (!downstream.write(chunk)) {
        upstream.pause();
        downstream.once("drain", () => upstream.resume());
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, connections: () => count };
}
