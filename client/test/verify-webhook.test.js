/** Signatures of webhooks: the specification's example, and some that this test makes by itself. */

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";

import { KraiterError, verifyWebhook } from "@kraiter/tracking";

const secret = () => `whsec_${randomBytes(32).toString("base64")}`;
const event = { id: "e", type: "email.opened", timestamp: "2026-01-31T09:30:00.000Z", contact: "ä@example.com" };
const body = JSON.stringify({ type: "events", timestamp: "2026-01-31T09:30:01.000Z", data: [event] });

function signature(secret, headers, body) {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
}

function headersOf(secrets, { age = 0, text = body } = {}) {
  const timestamp = `${Math.floor(Date.now() / 1000) - age}`;
  const headers = { "webhook-id": "dlv_1", "webhook-timestamp": timestamp };
  return { ...headers, "webhook-signature": secrets.map((one) => signature(one, headers, text)).join(" ") };
}

function refused(...args) {
  try {
    verifyWebhook(...args);
  } catch (error) {
    return error;
  }
  return assert.fail("it was taken");
}

/** The example of the specification, which the service's own tests have, too. */
const example = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  body: '{"test": 2432232314}',
  headers: {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  },
};

test("the example of the specification verifies", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_614_265_330_000 });
  assert.deepEqual(verifyWebhook(example.body, example.headers, example.secret), { test: 2432232314 });
});

test("the payload has its dates, from text and bytes, by headers of fetch and of Node.js", () => {
  const mine = secret();
  const headers = headersOf([mine]);
  const titled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]));
  for (const given of [headers, titled, new Headers(headers)]) {
    for (const form of [body, Buffer.from(body), new TextEncoder().encode(body)]) {
      const payload = verifyWebhook(form, given, mine);
      assert.deepEqual(payload.timestamp, new Date("2026-01-31T09:30:01Z"));
      assert.deepEqual(payload.data, [{ ...event, timestamp: new Date(event.timestamp) }]);
    }
  }
});

test("amid a rotation either secret verifies, on either side", () => {
  const [older, newer, stranger] = [secret(), secret(), secret()];
  const both = headersOf([newer, older]);
  for (const known of [older, newer, [stranger, older], [newer, stranger]]) verifyWebhook(body, both, known);
  verifyWebhook(body, headersOf([newer]), [older, newer]);
  assert.equal(refused(body, headersOf([newer]), older).code, "unverified_webhook");
  assert.equal(refused(body, both, [stranger]).code, "unverified_webhook");
});

test("five minutes are the most that a clock may differ", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_790_000_000_000 });
  const mine = secret();
  for (const age of [-300, 300]) verifyWebhook(body, headersOf([mine], { age }), mine);
  for (const age of [-301, 301]) {
    const error = refused(body, headersOf([mine], { age }), mine);
    assert.ok(error instanceof KraiterError);
    assert.match(error.detail, /webhook-timestamp/);
  }
});

test("whatever was altered is refused", () => {
  const mine = secret();
  const headers = headersOf([mine]);
  assert.equal(refused(`${body} `, headers, mine).code, "unverified_webhook");
  for (const name of Object.keys(headers)) {
    const { [name]: value, ...others } = headers;
    const altered = value.replace(/\d(?=\D*$)/, (digit) => (Number(digit) + 1) % 10);
    for (const given of [others, { ...others, [name]: "" }, { ...others, [name]: altered }]) {
      assert.equal(refused(body, given, mine).code, "unverified_webhook", `${name}: ${given[name]}`);
    }
  }
  for (const text of ["v1,", "v1", "v2" + headers["webhook-signature"].slice(2), headers["webhook-signature"].slice(0, -1)]) {
    assert.equal(refused(body, { ...headers, "webhook-signature": text }, mine).code, "unverified_webhook");
  }
  for (const text of ["now", "-1", "1e9", "NaN"]) {
    assert.equal(refused(body, { ...headers, "webhook-timestamp": text }, mine).code, "unverified_webhook");
  }
  assert.equal(refused("nothing", headersOf([mine], { text: "nothing" }), mine).code, "unverified_webhook");
});

test("a secret that is none, and a body that was parsed, are mistakes of the program", () => {
  const mine = secret();
  const headers = headersOf([mine]);
  const nones = [undefined, null, "", [], [""], [undefined], "whsec_", "whsec_short", "whsec_no base64 at all, not at all"];
  for (const none of nones) {
    assert.ok(refused(body, headers, none) instanceof TypeError, `${none}`);
  }
  assert.ok(refused(JSON.parse(body), headers, mine) instanceof TypeError);
});
