import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

import { keyring, verify } from "./tokens.js";

const folder = new URL("../../wire/vectors/", import.meta.url);
const files = (await readdir(folder)).filter((name) => name.endsWith(".json"));

test("there are vectors", () => assert.ok(files.includes("tokens.json")));

for (const file of files) {
  const vectors = JSON.parse(await readFile(new URL(file, folder), "utf8"));
  const keys = keyring(vectors.keyring);
  for (const { name, token, claims } of vectors.valid) {
    test(`${file}: ${name} verifies`, () => assert.deepEqual(verify(token, keys), claims));
  }
  for (const { name, token, error } of vectors.invalid) {
    test(`${file}: ${name} is refused as ${error}`, () => {
      assert.throws(() => verify(token, keys), (thrown) => thrown === error);
    });
  }
  test(`${file}: no valid token verifies with a bit turned`, () => {
    for (const { token } of vectors.valid.filter(({ token }) => token.length < 400)) {
      const bytes = Buffer.from(token, "base64url");
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const altered = Buffer.from(bytes);
        altered[bit >> 3] ^= 1 << (bit & 7);
        assert.throws(() => verify(altered.toString("base64url"), keys), (thrown) => typeof thrown === "string");
      }
    }
  });
}
