/** Runs the examples of README.md, one after the other, and compares what they print. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { test } from "node:test";

import { baseUrl, readmeKey } from "./service.js";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);

test("the examples of README.md run, and print what they say", async (t) => {
  assert.ok(examples.length >= 9);
  const code = examples.join("\n");
  const imports = [...new Set(code.match(/^import .*$/gm))];
  const body = code.replace(/^import .*$/gm, "");
  // Inside the package, so that they can import it by its name.
  const file = new URL("../readme-examples.js", import.meta.url);
  t.after(() => rm(file, { force: true }));
  await writeFile(file, [...imports, body].join("\n"));
  const PORT = await freePort();
  const RECEIVER = `http://127.0.0.1:${PORT}/`;
  const child = spawn(process.execPath, [file.pathname], {
    env: { ...process.env, KRAITER_API: baseUrl, KRAITER_API_KEY: readmeKey, PORT, RECEIVER },
  });
  let printed = "";
  let complaints = "";
  child.stdout.on("data", (text) => (printed += text));
  child.stderr.on("data", (text) => (complaints += text));
  const [status] = await once(child, "close");
  assert.equal(status, 0, complaints);
  const promised = [...code.matchAll(/\/\/ → (.*?)(?= \/\/ →|$)/gm)].map(([, text]) => text);
  assert.deepEqual(printed.trim().split("\n"), promised);
});

/** For the receiver of webhooks in the examples. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `${port}`;
}
