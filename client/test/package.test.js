/** What others get: the files of the package, and what its types take. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";

const root = new URL("..", import.meta.url);
const read = async (name) => readFile(new URL(name, root), "utf8");
const manifest = JSON.parse(await read("package.json"));

test("the package holds what is needed to use it, and nothing else", async () => {
  // Built by `npm test`; building again would pull it away from under other tests.
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", args, { cwd: root });
  const [{ files }] = JSON.parse(stdout);
  const paths = files.map(({ path }) => path).sort();
  const others = paths.filter((path) => !/^dist\/.*(\.js|\.d\.ts)$/.test(path));
  assert.deepEqual(others, ["LICENSE", "README.md", "package.json"]);
  const { default: entry, types } = manifest.exports["."];
  for (const target of [entry, types, manifest.types]) {
    assert.ok(paths.includes(target.replace("./", "")), target);
  }
  const isThere = (path) => paths.includes(path.replace(/\.js$/, ".d.ts"));
  assert.ok(paths.filter((path) => path.endsWith(".js")).every(isThere), "each module has its types");
});

test("it depends on nothing", () => {
  assert.equal(manifest.dependencies, undefined);
  assert.equal(manifest.peerDependencies, undefined);
});

test("it says which version it is", async () => {
  assert.match(await read("src/version.ts"), new RegExp(`"${manifest.version}"`));
  assert.match(await read("../Cargo.toml"), new RegExp(`version = "${manifest.version}"`));
});

test("its licence is the project's", async () => {
  assert.equal(await read("LICENSE"), await read("../LICENSE"));
});
