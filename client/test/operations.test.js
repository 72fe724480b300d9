/** That nothing of the service is missing here. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

import { baseUrl } from "./service.js";

test("every operation that an API key may call has a method", async () => {
  const { paths } = await (await fetch(`${baseUrl}/openapi.json`)).json();
  const wanted = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, { security = [] }]) => security.some((way) => "apiKey" in way))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  assert.ok(wanted.length >= 38, `${wanted.length} operations`);
  const folder = new URL("../src/resources/", import.meta.url);
  const sources = await Promise.all((await readdir(folder)).map((name) => readFile(new URL(name, folder), "utf8")));
  const called = sources.join("\n").match(/(?<=")(GET|POST|PUT|PATCH|DELETE) \/[^"]*(?=")/g);
  assert.deepEqual([...new Set(called)].sort(), wanted.sort());
});
