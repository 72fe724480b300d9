/** Time-outs, retries and aborts of single calls. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import { Kraiter, KraiterError } from "@kraiter/tracking";

import { json, problem, standIn, text, until } from "./stand-in.js";

const send = { id: "s", sentAt: "2026-01-31T09:30:00.000Z", opens: [], clicks: [] };
const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

for (const status of [429, 503]) {
  test(`${status} is tried again, not sooner than retry-after says`, async (t) => {
    const { kraiter, requests } = await standIn(t, (_, response, number) => {
      if (number === 1) problem(response, status, "saturated", { "retry-after": "1" });
      else json(response, 200, send);
    });
    assert.equal((await kraiter.sends.get("s")).id, "s");
    const waited = requests[1].at - requests[0].at;
    assert.ok(waited >= 990, `${waited} ms`);
  });
}

test("retry-after may be a date", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response, number) => {
    // A date has whole seconds: this is one to two seconds away.
    const at = new Date(Date.now() + 2_000).toUTCString();
    if (number === 1) problem(response, 503, "saturated", { "retry-after": at });
    else json(response, 200, send);
  });
  await kraiter.sends.get("s");
  assert.ok(requests[1].at - requests[0].at >= 900);
});

test("retries are bounded, and the last answer is the error", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => problem(response, 503, "saturated"), { maxRetries: 2 });
  const error = await failure(kraiter.sends.get("s"));
  assert.equal(error.code, "saturated");
  assert.equal(error.status, 503);
  assert.equal(requests.length, 3);
});

test("without retry-after waits grow and differ", async (t) => {
  const waits = [];
  for (let round = 0; round < 3; round += 1) {
    const { kraiter, requests } = await standIn(t, (_, response) => problem(response, 503, "saturated"));
    await failure(kraiter.sends.get("s"));
    assert.equal(requests.length, 4);
    waits.push(...requests.slice(1).map(({ at }, before) => at - requests[before].at));
  }
  assert.ok(waits.every((wait) => wait < 8_000), waits.join());
  assert.ok(new Set(waits.map(Math.round)).size > 4, waits.join());
});

test("a service that asks for more than a minute is not waited for", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) =>
    problem(response, 429, "rate_limited", { "retry-after": "3600" }),
  );
  const error = await failure(kraiter.sends.get("s"));
  assert.equal(error.code, "rate_limited");
  assert.equal(error.retryAfter, 3600);
  assert.equal(requests.length, 1);
});

for (const status of [400, 404, 409, 422, 500]) {
  test(`${status} is not tried again`, async (t) => {
    const { kraiter, requests } = await standIn(t, (_, response) => problem(response, status, "some_code"));
    const error = await failure(kraiter.sends.get("s"));
    assert.deepEqual([error.status, error.code, error.detail, requests.length], [status, "some_code", "Detail.", 1]);
  });
}

test("a connection that breaks is tried again, with the same send id", async (t) => {
  const ids = [];
  const { kraiter } = await standIn(t, async (request, response, number) => {
    ids.push(JSON.parse(await text(request)).sendId);
    if (number < 3) response.destroy();
    else json(response, 200, send);
  });
  await kraiter.sends.create({ contact: "ada@example.com" });
  assert.equal(ids.length, 3);
  assert.match(ids[0], /^snd_[\w-]{22}$/);
  assert.equal(new Set(ids).size, 1);
});

test("what cannot be done twice is not tried again when the connection breaks", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => response.destroy());
  const error = await failure(kraiter.contacts.erase("ada@example.com"));
  assert.equal(error.code, "connection_failed");
  assert.equal(error.status, undefined);
  assert.equal(requests.length, 1);
});

test("a webhook is made with the same key again, also while the attempt before is under way", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response, number) => {
    if (number % 3 === 1) response.destroy();
    else if (number % 3 === 2) problem(response, 409, "idempotency_key_in_use", { "retry-after": "1" });
    else json(response, 201, { id: "w", createdAt: send.sentAt });
  });
  const webhook = { url: "https://hooks.example.com/" };
  assert.ok((await kraiter.webhooks.create(webhook)).createdAt instanceof Date);
  await kraiter.webhooks.create(webhook, { idempotencyKey: "mine" });
  const keys = requests.map(({ request }) => request.headers["idempotency-key"]);
  assert.match(keys[0], /^[\da-f-]{36}$/);
  assert.deepEqual(keys, [keys[0], keys[0], keys[0], "mine", "mine", "mine"]);
});

test("of the calls on webhooks, those are repeated that can be done twice", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => response.destroy(), { maxRetries: 1 });
  const { webhooks } = kraiter;
  const attempts = async (call) => {
    const before = requests.length;
    assert.equal((await failure(call())).code, "connection_failed");
    return requests.length - before;
  };
  const id = "whk_1";
  for (const call of [
    () => webhooks.list().page(),
    () => webhooks.get(id),
    () => webhooks.create({ url: "https://hooks.example.com/" }),
    () => webhooks.update(id, { types: null }),
    () => webhooks.pause(id),
    () => webhooks.resume(id),
    () => webhooks.deliveries(id).page(),
  ]) {
    assert.equal(await attempts(call), 2, `${call}`);
  }
  for (const call of [
    () => webhooks.remove(id),
    () => webhooks.ping(id),
    () => webhooks.rotateSecret(id),
    () => webhooks.replay(id),
  ]) {
    assert.equal(await attempts(call), 1, `${call}`);
  }
});

test("an answer that is cut off is a broken connection", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => {
    response.writeHead(200, { "content-length": "100" }).write('{"id":');
    setTimeout(() => response.destroy(), 10);
  }, { maxRetries: 1 });
  assert.equal((await failure(kraiter.sends.get("s"))).code, "connection_failed");
  assert.equal(requests.length, 2);
});

test("nobody listening is an error that says so", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  const kraiter = new Kraiter({ apiKey: "key", baseUrl: `http://127.0.0.1:${port}`, maxRetries: 0 });
  const error = await failure(kraiter.settings.get());
  assert.ok(error instanceof KraiterError);
  assert.match(error.message, /ECONNREFUSED/);
  assert.ok(error.cause instanceof Error);
});

test("an attempt that takes too long fails, and is tried again", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response, number) => {
    if (number === 2) json(response, 200, send);
  }, { timeout: 1_000 });
  assert.equal((await kraiter.sends.get("s")).id, "s");
  assert.equal(requests.length, 2);
  const error = await failure(kraiter.sends.get("s", { timeout: 50, maxRetries: 0 }));
  assert.equal(error.code, "timeout");
});

test("a body that stops midway is timed, too", async (t) => {
  const { kraiter } = await standIn(t, (_, response) => response.writeHead(200).write('{"id":'), { maxRetries: 0 });
  assert.equal((await failure(kraiter.sends.get("s", { timeout: 100 }))).code, "timeout");
});

test("an aborted call throws the signal's reason, also while it waits to try again", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) =>
    problem(response, 503, "saturated", { "retry-after": "30" }),
  );
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 100);
  assert.equal(await failure(kraiter.sends.get("s", { signal: controller.signal })), reason);
  assert.equal(requests.length, 1);
  assert.equal(await failure(kraiter.sends.get("s", { signal: AbortSignal.abort(reason) })), reason);
  assert.equal(requests.length, 1);
  const late = await failure(kraiter.sends.get("s", { signal: AbortSignal.timeout(50) }));
  assert.equal(late.name, "TimeoutError");
});

test("an abort ends the request", async (t) => {
  let isClosed = false;
  const { kraiter } = await standIn(t, (request) => request.on("close", () => (isClosed = true)));
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  assert.equal((await failure(kraiter.sends.get("s", { signal: controller.signal }))).name, "AbortError");
  await until(() => isClosed);
});

test("a call leaves nothing on the caller's signal", async (t) => {
  const { kraiter } = await standIn(t, (_, response) => json(response, 200, send));
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args) => (listeners++, add(...args));
  signal.removeEventListener = (...args) => (listeners--, remove(...args));
  for (let call = 0; call < 20; call += 1) await kraiter.sends.get("s", { signal });
  assert.equal(listeners, 0);
});

test("what is not the service's answer is told apart", async (t) => {
  const { kraiter } = await standIn(t, (request, response) => {
    if (request.url === "/sends/page") response.writeHead(200).end("<html>Welcome to the hotel</html>");
    else if (request.url === "/sends/moved") response.writeHead(302, { location: "/elsewhere" }).end();
    else response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
  }, { maxRetries: 0 });
  assert.equal((await failure(kraiter.sends.get("page"))).code, "unexpected_answer");
  assert.equal((await failure(kraiter.sends.get("moved"))).status, 302);
  const error = await failure(kraiter.sends.get("other"));
  assert.deepEqual([error.status, error.code], [502, "unexpected_answer"]);
  assert.match(error.message, /Bad gateway/);
});

test("requests say who asks for what", async (t) => {
  const { kraiter, requests, baseUrl } = await standIn(t, (_, response) => json(response, 200, { items: [] }));
  await kraiter.events.list({ type: ["email.opened", "email.clicked"], from: new Date(0), campaign: "a&b" }).page("next");
  const [{ request }] = requests;
  assert.equal(request.headers.authorization, "Bearer key");
  assert.match(request.headers["user-agent"], /^kraiter-tracking-js\/\d/);
  const url = new URL(request.url, baseUrl);
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    type: "email.opened,email.clicked",
    from: "1970-01-01T00:00:00.000Z",
    campaign: "a&b",
    cursor: "next",
  });
  const below = new Kraiter({ apiKey: "key", baseUrl: `${baseUrl}/behind/gateway/` });
  await below.campaigns.list().page();
  assert.equal(requests[1].request.url, "/behind/gateway/campaigns");
});

test("options that cannot work are refused at once", () => {
  assert.throws(() => new Kraiter({ baseUrl: "http://localhost" }), /apiKey/);
  assert.throws(() => new Kraiter({ apiKey: "key" }), TypeError);
  assert.throws(() => new Kraiter({ apiKey: "key", baseUrl: "localhost:8080" }), /http/);
});
