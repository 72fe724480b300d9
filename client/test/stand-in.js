/** A small server in the service's place, for answers that the real one gives on bad days only. */

import { once } from "node:events";
import { createServer } from "node:http";

import { Kraiter } from "@kraiter/tracking";

/** On a port of its own, for as long as `t` runs. `answer(request, response, number)` is called for each request, which are numbered from 1. */
export async function standIn(t, answer, options = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push({ request, at: performance.now() });
    Promise.resolve(answer(request, response, requests.length)).catch((error) => response.destroy(error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  return { kraiter: new Kraiter({ apiKey: "key", baseUrl, timeout: 2_000, ...options }), requests, baseUrl };
}

export function json(response, status, body, headers = {}) {
  const type = status < 400 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "content-type": type, ...headers }).end(JSON.stringify(body));
}

export function problem(response, status, code, headers) {
  json(response, status, { type: "about:blank", title: "Title", status, code, detail: "Detail." }, headers);
}

export async function text(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

/** The lines of a body, in the groups in which they arrive. */
export async function* groups(request) {
  let rest = "";
  for await (const chunk of request.setEncoding("utf8")) {
    if (!chunk.includes("\n")) {
      rest += chunk;
      continue;
    }
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    yield parts;
  }
}

export async function* lines(request) {
  for await (const group of groups(request)) yield* group;
}

const bad = { type: "about:blank", title: "Bad", status: 422, code: "invalid_email", detail: "Bad." };

/** Answers each recipient's line with a mail. */
export async function echo(request, response, { onLine = () => {}, page = "" } = {}) {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  let isShared = request.url === "/rewrite/batch";
  for await (const group of groups(request)) {
    let answers = "";
    for (const line of group) {
      if (isShared) {
        isShared = false;
        continue;
      }
      const { contact, sendId } = JSON.parse(line);
      if ((await onLine(contact)) === "stop") return;
      answers += `${JSON.stringify(contact === "bad" ? { error: bad } : { sendId, html: `for ${contact}${page}` })}\n`;
    }
    if (!response.write(answers)) await new Promise((resolve) => response.once("drain", resolve));
  }
  response.end();
}

export function* people(count) {
  for (let number = 0; number < count; number += 1) yield { contact: `${number}` };
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits for something that soon becomes so, however slow the machine is. */
export async function until(isSo) {
  for (const patience = performance.now() + 20_000; performance.now() < patience; await pause(20)) {
    if (isSo()) return;
  }
  throw new Error(`never so: ${isSo}`);
}
