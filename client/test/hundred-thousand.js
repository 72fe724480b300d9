/** Started by streams.test.js: a batch of 100,000, of which 200 MB come back. */

import assert from "node:assert/strict";

import { echo, people, standIn } from "./stand-in.js";

const COUNT = 100_000;
const page = "x".repeat(2_000);

const ends = [];
const { kraiter } = await standIn({ after: (end) => ends.push(end) }, (request, response) =>
  echo(request, response, { page }),
);
let asked = 0;
let taken = 0;
let most = 0;
const recipients = (async function* () {
  for (const person of people(COUNT)) {
    asked += 1;
    yield person;
  }
})();
for await (const { recipient, mail } of kraiter.rewriteBatch({ html: "x" }, recipients)) {
  assert.equal(recipient.contact, `${taken}`);
  assert.ok(mail.html.startsWith(`for ${taken}`));
  taken += 1;
  most = Math.max(most, asked - taken);
}
for (const end of ends) end();
console.log(JSON.stringify({ taken, most }));
