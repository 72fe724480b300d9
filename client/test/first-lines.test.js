/** Runs the JavaScript of the project's README the way it says: in a project of one's own. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { baseUrl, firstKey } from "./service.js";

const run = promisify(execFile);
const client = fileURLToPath(new URL("..", import.meta.url));

test("the first lines of JavaScript run in a project that has just installed the client", async (t) => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const [[, code], ...others] = readme.matchAll(/^```js\n(.*?)^```$/gms);
  assert.deepEqual(others, [], "one example, the first");
  const cwd = await mkdtemp(join(tmpdir(), "kraiter-first-lines-"));
  t.after(() => rm(cwd, { recursive: true }));
  await run("npm", ["install", "--offline", "--ignore-scripts", client], { cwd });
  await writeFile(join(cwd, "first.mjs"), code);
  // As a running stack writes it.
  await writeFile(join(cwd, "dev.env"), `KRAITER_API=${baseUrl}\nKRAITER_API_KEY=${firstKey}\n`);
  const env = { ...process.env };
  delete env.KRAITER_API;
  delete env.KRAITER_API_KEY;
  const { stdout } = await run(process.execPath, ["--env-file=dev.env", "first.mjs"], { cwd, env });
  assert.match(stdout, /^ada@example\.com <p><a href="https:\/\/[^"]+\/c\/[^"]+">Look<\/a><\/p><img src="[^"]+\/o\//);
  assert.match(stdout, /emailsSentCount: 1,/);
});
