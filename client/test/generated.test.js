import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

import { baseUrl } from "./service.js";

test("src/generated is what the service's OpenAPI document says", async () => {
  const document = await (await fetch(`${baseUrl}/openapi.json`)).text();
  const check = spawn(process.execPath, ["scripts/generate.js", "--check"], {
    cwd: new URL("..", import.meta.url),
    stdio: ["pipe", "inherit", "pipe"],
  });
  check.stdin.end(document);
  let complaints = "";
  check.stderr.on("data", (text) => (complaints += text));
  const [code] = await once(check, "exit");
  assert.equal(code, 0, complaints);
});
