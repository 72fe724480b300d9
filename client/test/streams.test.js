/** Batches against a stand-in: order, back-pressure, broken connections, and loops that are left. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

import { KraiterError } from "@kraiter/tracking";

import { echo, json, lines, pause, people, problem, standIn, until } from "./stand-in.js";

/** More than this are never read ahead of what was answered and taken. */
const WINDOW = 1000;
/** A time-out, in milliseconds, within which the stand-in answers on a busy machine, too. */
const SHORT = 1_000;

const failure = async (stream) => {
  try {
    for await (const _ of stream);
  } catch (error) {
    return error;
  }
  return assert.fail("it succeeded");
};

/** Counts what was asked of it, and whether it was let go. */
function counted(count, delay = () => undefined) {
  const source = { asked: 0, isClosed: false };
  source.items = (async function* () {
    try {
      for (const person of people(count)) {
        await delay();
        source.asked += 1;
        yield person;
      }
    } finally {
      source.isClosed = true;
    }
  })();
  return source;
}

test("each recipient gets its own answer, in order, and an error alone", async (t) => {
  const { kraiter } = await standIn(t, echo);
  const recipients = [{ contact: "ada" }, { contact: "bad" }, { contact: "grace", sendId: "own-id" }];
  const results = [];
  for await (const result of kraiter.rewriteBatch({ html: "x" }, recipients)) results.push(result);
  assert.deepEqual(results.map(({ recipient }) => recipient), recipients);
  assert.equal(results[0].mail.html, "for ada");
  assert.equal(results[1].mail, undefined);
  assert.ok(results[1].error instanceof KraiterError);
  assert.equal(results[1].error.code, "invalid_email");
  assert.equal(results[2].mail.sendId, "own-id");
  assert.equal(recipients[0].sendId, undefined);
});

test("nobody in it is no error", async (t) => {
  const { kraiter, requests } = await standIn(t, echo);
  for await (const result of kraiter.rewriteBatch({ html: "x" }, [])) assert.fail(result);
  assert.equal(requests.length, 1);
});

test("answers are taken while recipients are still being found", async (t) => {
  const { kraiter } = await standIn(t, echo);
  const source = counted(5, () => pause(20));
  let taken = 0;
  for await (const _ of kraiter.rewriteBatch({ html: "x" }, source.items)) {
    taken += 1;
    // One more may be on its way.
    assert.ok(source.asked <= taken + 2, `${source.asked} asked, ${taken} taken`);
  }
  assert.equal(taken, 5);
});

test("100,000 recipients and their mails go through a heap that holds neither", async () => {
  const heap = "--max-old-space-size=48";
  // A process of its own: the runner's hooks on each promise cost more than all that is tested.
  const child = spawn(process.execPath, [heap, new URL("hundred-thousand.js", import.meta.url).pathname]);
  let said = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (text) => (said += text));
  const [code] = await once(child, "exit");
  assert.equal(code, 0, said);
  const { taken, most } = JSON.parse(said);
  assert.equal(taken, 100_000);
  assert.ok(most <= WINDOW, `${most} under way`);
});

test("a slow consumer makes the source wait", async (t) => {
  const { kraiter } = await standIn(t, echo);
  const source = counted(100_000);
  const stream = kraiter.rewriteBatch({ html: "x" }, source.items);
  await stream.next();
  await until(() => source.asked >= WINDOW);
  await pause(300);
  const { asked } = source;
  assert.ok(asked <= WINDOW + 1, `${asked} were asked for, 1 was taken`);
  await pause(300);
  assert.equal(source.asked, asked, "it goes on although nothing is taken");
  for (let taken = 1; taken < 700; taken += 1) await stream.next();
  await until(() => source.asked > asked);
  assert.ok(source.asked <= 700 + WINDOW, `${source.asked}`);
  await stream.return();
  assert.ok(source.isClosed);
});

test("recipients with a long mail of their own make the window smaller", async (t) => {
  const { kraiter } = await standIn(t, echo);
  let asked = 0;
  const html = "x".repeat(1 << 20);
  const recipients = (function* () {
    for (const person of people(50)) {
      asked += 1;
      yield { ...person, html };
    }
  })();
  const stream = kraiter.rewriteBatch({}, recipients);
  await stream.next();
  await pause(300);
  assert.ok(asked <= 6, `${asked} mails of a megabyte`);
  let taken = 1;
  for await (const _ of stream) taken += 1;
  assert.equal(taken, 50);
});

test("a consumer may take longer than the time-out", async (t) => {
  const { kraiter, requests } = await standIn(t, echo, { timeout: SHORT });
  let taken = 0;
  for await (const _ of kraiter.rewriteBatch({ html: "x" }, people(3))) {
    taken += 1;
    await pause(2 * SHORT);
  }
  assert.deepEqual([taken, requests.length], [3, 1]);
});

test("what is sent while the consumer is busy is not timed against it", async (t) => {
  const { kraiter, requests } = await standIn(t, echo, { timeout: SHORT });
  let taken = 0;
  for await (const _ of kraiter.rewriteBatch({ html: "x" }, counted(3, () => pause(30)).items)) {
    taken += 1;
    await pause(2 * SHORT);
  }
  assert.deepEqual([taken, requests.length], [3, 1]);
});

test("a source may take longer than the time-out", async (t) => {
  const { kraiter, requests } = await standIn(t, echo, { timeout: SHORT });
  let taken = 0;
  for await (const _ of kraiter.rewriteBatch({ html: "x" }, counted(3, () => pause(2 * SHORT)).items)) taken += 1;
  assert.deepEqual([taken, requests.length], [3, 1]);
});

test("leaving the loop ends the request and lets the source go", async (t) => {
  let isClosed = false;
  const { kraiter } = await standIn(t, (request, response) => {
    response.on("close", () => (isClosed = !response.writableFinished));
    return echo(request, response);
  });
  const source = counted(1e9);
  for await (const { recipient } of kraiter.rewriteBatch({ html: "x" }, source.items)) {
    if (recipient.contact === "10") break;
  }
  await until(() => isClosed && source.isClosed);
});

test("an abort ends it, whatever it waits for", async (t) => {
  const { kraiter } = await standIn(t, echo);
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 50);
  const source = counted(1e9, () => new Promise(() => {}));
  assert.equal(await failure(kraiter.rewriteBatch({ html: "x" }, source.items, { signal: controller.signal })), reason);
});

test("after a broken connection the next one sends what was not answered, with the same ids", async (t) => {
  const seen = new Map();
  const { kraiter, requests } = await standIn(t, async (request, response, number) => {
    let count = 0;
    const onLine = (contact) => {
      count += 1;
      if (number < 3 && count > 300) {
        response.destroy();
        return "stop";
      }
      return undefined;
    };
    request.on("error", () => {});
    await echo(request, response, { onLine });
  });
  let taken = 0;
  for await (const { recipient, mail } of kraiter.rewriteBatch({ html: "x" }, counted(2_500).items)) {
    assert.equal(recipient.contact, `${taken}`);
    assert.equal(mail.html, `for ${taken}`);
    assert.ok(!seen.has(mail.sendId));
    seen.set(mail.sendId, taken);
    taken += 1;
  }
  assert.equal(taken, 2_500);
  assert.equal(requests.length, 3);
});

test("what is sent again has the id it had", async (t) => {
  const ids = [];
  const { kraiter } = await standIn(t, async (request, response, number) => {
    request.on("error", () => {});
    response.writeHead(200).flushHeaders();
    let isShared = true;
    for await (const line of lines(request)) {
      if (!isShared) {
        ids.push(JSON.parse(line).sendId);
        if (number === 1) return response.destroy();
        response.write(`{"sendId":"x"}\n`);
      }
      isShared = false;
    }
    return response.end();
  });
  for await (const _ of kraiter.rewriteBatch({ html: "x" }, people(1)));
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});

test("a service that is away at the start is waited for, and no recipient is lost", async (t) => {
  const { kraiter, requests } = await standIn(t, (request, response, number) => {
    if (number === 1) return problem(response, 503, "database_unavailable", { "retry-after": "1" });
    return echo(request, response);
  });
  let taken = 0;
  for await (const { recipient } of kraiter.rewriteBatch({ html: "x" }, people(2_000))) {
    assert.equal(recipient.contact, `${taken}`);
    taken += 1;
  }
  assert.equal(taken, 2_000);
  assert.ok(requests[1].at - requests[0].at >= 990);
});

test("a service that never gets further is given up", async (t) => {
  const { kraiter, requests } = await standIn(t, (request, response) => {
    request.on("error", () => {});
    response.destroy();
  }, { maxRetries: 2 });
  const source = counted(1e9);
  assert.equal((await failure(kraiter.rewriteBatch({ html: "x" }, source.items))).code, "connection_failed");
  assert.equal(requests.length, 3);
  assert.ok(source.isClosed);
});

test("a service that stops answering is timed", async (t) => {
  const { kraiter } = await standIn(t, (request, response) => {
    request.resume();
    response.writeHead(200).flushHeaders();
  }, { timeout: 100, maxRetries: 1 });
  assert.equal((await failure(kraiter.rewriteBatch({ html: "x" }, people(3)))).code, "timeout");
});

test("an answer that ends early is not mistaken for the end", async (t) => {
  const { kraiter } = await standIn(t, (request, response) => {
    request.resume();
    response.end('{"sendId":"a"}\n{"sendId":"b"');
  }, { maxRetries: 0 });
  const taken = [];
  const error = await (async () => {
    for await (const { mail } of kraiter.rewriteBatch({ html: "x" }, people(3))) taken.push(mail.sendId);
  })().catch((error) => error);
  assert.deepEqual(taken, ["a"]);
  assert.equal(error.code, "connection_failed");
});

test("a refusal while recipients are still being sent is the error", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response) => problem(response, 422, "unknown_field"));
  const source = counted(1e9);
  const error = await failure(kraiter.rewriteBatch({ html: "x" }, source.items));
  assert.deepEqual([error.status, error.code], [422, "unknown_field"]);
  assert.equal(requests.length, 1);
  assert.ok(source.isClosed);
});

test("what the source throws arrives once everything before it is answered", async (t) => {
  const { kraiter } = await standIn(t, echo);
  const reason = new Error("the list of recipients is gone");
  const recipients = (async function* () {
    yield* people(5);
    throw reason;
  })();
  const taken = [];
  const stream = kraiter.rewriteBatch({ html: "x" }, recipients);
  const error = await (async () => {
    for await (const { recipient } of stream) taken.push(recipient.contact);
  })().catch((error) => error);
  assert.equal(error, reason);
  assert.deepEqual(taken, ["0", "1", "2", "3", "4"]);
});

test("an answer to nobody is an error", async (t) => {
  const { kraiter } = await standIn(t, (request, response) => {
    request.resume();
    response.end('{"sendId":"a"}\n'.repeat(2));
  });
  assert.equal((await failure(kraiter.rewriteBatch({ html: "x" }, people(1)))).code, "unexpected_answer");
});

test("pages of a list are asked for one at a time", async (t) => {
  const { kraiter, requests } = await standIn(t, (_, response, number) => {
    const items = number === 2 ? [] : [{ id: `${number}` }];
    json(response, 200, { items, nextCursor: number < 4 ? `${number}` : null });
  });
  const seen = [];
  for await (const { id } of kraiter.events.list()) {
    seen.push(id);
    assert.equal(requests.length, Number(id));
  }
  assert.deepEqual(seen, ["1", "3", "4"]);
});
