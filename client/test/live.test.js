/** The stream of events against a stand-in: chunks cut anywhere, connections that break, silence. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { json, pause, problem, standIn, until } from "./stand-in.js";

const event = (id) => JSON.stringify({ id, type: "email.opened", timestamp: "2026-01-31T09:30:00.000Z", contact: "ä" });
const frame = (id) => `id: ${id}\ndata: ${event(id)}\n\n`;
const HELLO = "retry: 10\n\n";
const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

function begin(response) {
  response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  response.write(HELLO);
  return response;
}

async function taken(stream, count) {
  const results = [];
  for await (const result of stream) if (results.push(result) === count) break;
  return results;
}

const names = (results) => results.map(({ event, skipped }) => event?.id ?? skipped.reason);

for (const [name, lineEnd] of [["LF", "\n"], ["CR LF", "\r\n"], ["CR", "\r"]]) {
  test(`events are read however their bytes are cut, with lines that end in ${name}`, async (t) => {
    const late = 'event: skipped\ndata:{"reason":"late","count":3,\ndata: "from":"2026-01-31T09:00:00.000Z"}\n\n';
    const text = `\uFEFF: hello\n\n${late}${frame("a")}: alive\n\nevent: newer\ndata: x\n\nid\n\n${frame("b")}`;
    const bytes = Buffer.from(text.replaceAll("\n", lineEnd));
    for (const size of [1, 7, bytes.length]) {
      const { kraiter } = await standIn(t, async (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
        for (let at = 0; at < bytes.length; at += size) {
          response.write(bytes.subarray(at, at + size));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
      const [{ skipped }, first, second] = await taken(kraiter.events.stream(), 3);
      assert.deepEqual(skipped, { reason: "late", count: 3, from: new Date("2026-01-31T09:00:00Z") });
      assert.deepEqual(first.event.timestamp, new Date("2026-01-31T09:30:00Z"));
      assert.deepEqual([first.event.id, first.event.contact, second.event.id], ["a", "ä", "b"]);
    }
  });
}

test("it asks for what is wanted, from the last event on", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => begin(response).write(frame("b")));
  const query = { type: ["email.opened", "email.clicked"], campaign: "spring" };
  await taken(kraiter.events.stream(query, { lastEventId: "a" }), 1);
  const [{ request }] = requests;
  assert.equal(request.url, "/events/stream?type=email.opened%2Cemail.clicked&campaign=spring");
  assert.match(request.headers.accept, /^text\/event-stream/);
  assert.equal(request.headers["last-event-id"], "a");
});

test("after a broken connection it goes on from the last event, and none comes twice", async (t) => {
  const { kraiter, requests } = await standIn(t, async (_, response, number) => {
    begin(response);
    if (number === 1) response.write(frame("a") + frame("b") + frame("c").slice(0, 30));
    else if (number === 2) response.end(frame("a") + frame("c"));
    else return void response.write(frame("b") + frame("c") + frame("d"));
    await pause(50);
    response.destroy();
  });
  assert.deepEqual(names(await taken(kraiter.events.stream(), 4)), ["a", "b", "c", "d"]);
  assert.deepEqual(requests.map(({ request }) => request.headers["last-event-id"]), [undefined, "b", "c"]);
});

test("a stream that was cut before its first event says that some may be missing", async (t) => {
  const { kraiter, requests } = await standIn(t, async (_, response, number) => {
    begin(response);
    if (number > 1) return void response.write(frame("a"));
    await pause(50);
    response.destroy();
  });
  const [gap, { event }] = await taken(kraiter.events.stream(), 2);
  assert.equal(gap.skipped.reason, "away");
  const before = Date.now() - gap.skipped.from;
  assert.ok(before >= 60_000 && before < 90_000, `${before} ms`);
  assert.deepEqual([event.id, requests.length], ["a", 2]);
});

test("it comes back no sooner than the service wants", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response, number) => {
    begin(response).write(number === 1 ? "retry: 700\n\n" : frame("a"));
    if (number === 1) response.end();
  });
  await taken(kraiter.events.stream(), 2);
  const waited = requests[1].at - requests[0].at;
  assert.ok(waited >= 690, `${waited} ms`);
});

test("signs of life keep it open, and silence ends the connection", async (t) => {
  const { kraiter, requests } = await standIn(t, async (_, response, number) => {
    begin(response);
    if (number === 2) return void response.write(frame("b"));
    for (let count = 0; count < 8; count += 1) {
      await pause(300);
      response.write(": alive\n\n");
    }
    response.write(frame("a"));
  });
  const results = await taken(kraiter.events.stream({}, { timeout: 1_000 }), 2);
  assert.deepEqual(names(results), ["a", "b"]);
  assert.ok(requests[1].at - requests[0].at >= 3_300);
});

test("a client that waits less for other answers still leaves a stream its silence", async (t) => {
  const { kraiter, requests } = await standIn(t, async (_, response) => {
    begin(response);
    await pause(400);
    response.write(frame("a"));
  }, { timeout: 100 });
  await taken(kraiter.events.stream(), 1);
  assert.equal(requests.length, 1);
});

test("who takes long over an event is not timed", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => begin(response).write(frame("a") + frame("b")));
  const stream = kraiter.events.stream({}, { timeout: 200 });
  await stream.next();
  await pause(600);
  assert.equal((await stream.next()).value.event.id, "b");
  await stream.return();
  assert.equal(requests.length, 1);
});

test("leaving the loop ends the request", async (t) => {
  let isClosed = false;
  const { kraiter } = await standIn(t, (_, response) => {
    response.on("close", () => (isClosed = true));
    begin(response).write(frame("a"));
  });
  await taken(kraiter.events.stream(), 1);
  await until(() => isClosed);
});

test("an abort throws the signal's reason, while it waits for an event or for a connection", async (t) => {
  let isClosed = false;
  const { kraiter } = await standIn(t, (request, response) => {
    if (request.url.includes("away")) return problem(response, 503, "saturated", { "retry-after": "30" });
    response.on("close", () => (isClosed = true));
    return begin(response).write(frame("a") + frame("b"));
  });
  for (const campaign of ["here", "away"]) {
    const controller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 200);
    const stream = kraiter.events.stream({ campaign }, { signal: controller.signal });
    assert.equal(await failure(taken(stream, 9)), reason);
  }
  await until(() => isClosed);
  const controller = new AbortController();
  const stream = kraiter.events.stream({}, { signal: controller.signal });
  await stream.next();
  controller.abort(new Error("between two"));
  assert.equal((await failure(stream.next())).message, "between two");
});

test("a refusal is the error, and a service that stays away is given up", async (t) => {
  const { kraiter, requests } = await standIn(t, (request, response) => {
    if (request.url.includes("hotel")) return json(response, 200, {});
    if (request.url.includes("revoked")) return problem(response, 401, "revoked_api_key");
    if (request.url.includes("broken")) return begin(response).write("data: {\n\n");
    return response.destroy();
  }, { maxRetries: 1 });
  const codes = [];
  for (const campaign of ["hotel", "revoked", "broken", "gone"]) {
    codes.push((await failure(taken(kraiter.events.stream({ campaign }), 1))).code);
  }
  assert.deepEqual(codes, ["unexpected_answer", "revoked_api_key", "unexpected_answer", "connection_failed"]);
  assert.equal(requests.length, 5);
});

test("an event without an end is not collected for ever", async (t) => {
  const { kraiter } = await standIn(t, (_, response) => begin(response).write(`data: ${"x".repeat(2 << 20)}`));
  assert.equal((await failure(taken(kraiter.events.stream(), 1))).code, "unexpected_answer");
});
