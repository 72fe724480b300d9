/**
 * Token format 1, written from its description and not from the code that signs: a second opinion on
 * `wire/vectors`. No part of the package: only the service and the edge hold signing keys.
 */

import { createHmac, timingSafeEqual } from "node:crypto";

const MAC_BYTES = 16;
const BLOCK_BYTES = 64;
const MAX_URL_BYTES = 4096;
const MAX_CHARACTERS = Math.ceil((3 + 5 + 65 + 17 + 3 + 5 + 2 + MAX_URL_BYTES + MAC_BYTES) / 3) * 4;
const KINDS = { 1: "open", 2: "click", 3: "unsubscribe" };
const SEND_ID = /^[A-Za-z0-9._:~-]{1,64}$/;
const URL_TEXT = /^https?:\/\/[^/?#\\][\x21-\x7e]*$/i;

/** `1:<secret>,7:<secret>` as the edge's environment has it. */
export function keyring(text) {
  return new Map(text.split(",").map((key) => [Number(key.split(":")[0]), Buffer.from(key.split(":")[1], "base64url")]));
}

/** The claims of a token that one of the keys has signed; throws the name of what is wrong. */
export function verify(token, keys) {
  if (token.length > MAX_CHARACTERS) throw "too_long";
  const bytes = Buffer.from(token, "base64url");
  if (bytes.toString("base64url") !== token) throw "base64";
  if (bytes.length < MAC_BYTES) throw "truncated";
  const signed = bytes.subarray(0, -MAC_BYTES);
  const fields = reader(signed);
  if (fields.byte() !== 1) throw "version";
  const key = fields.byte();
  const kind = fields.byte();
  if (key === 0) throw "unknown_key";
  const tenant = fields.number();
  if (tenant === 0) throw "field";
  const link = kind === 2 ? { index: fields.number(), url: fields.long() } : {};
  if (!keys.has(key)) throw "unknown_key";
  const shared = signed.subarray(0, fields.at());
  const padding = Buffer.alloc((BLOCK_BYTES - (shared.length % BLOCK_BYTES)) % BLOCK_BYTES);
  const mac = createHmac("sha256", tenantKey(keys.get(key), tenant))
    .update(Buffer.concat([shared, padding, signed.subarray(fields.at())]))
    .digest();
  if (!timingSafeEqual(mac.subarray(0, MAC_BYTES), bytes.subarray(-MAC_BYTES))) throw "mac";
  if (!(kind in KINDS)) throw "kind";
  const url = link.url?.toString("latin1");
  if (url !== undefined && (url.length > MAX_URL_BYTES || !URL_TEXT.test(url))) throw "destination";
  const send = fields.short().toString("latin1");
  if (!SEND_ID.test(send)) throw "field";
  const contact = fields.short();
  if (contact.length !== 16) throw "field";
  const day = fields.number();
  if (day > 0xffff) throw "field";
  if (fields.at() !== signed.length) throw "trailing";
  const claims = { key, tenant, send, contact: contact.toString("hex"), day, kind: KINDS[kind] };
  return url === undefined ? claims : { ...claims, index: link.index, url };
}

function tenantKey(secret, tenant) {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(tenant);
  return createHmac("sha256", secret).update("kraiter tenant key 1\0").update(id).digest();
}

function reader(bytes) {
  let at = 0;
  const take = (length) => {
    if (at + length > bytes.length) throw "truncated";
    at += length;
    return bytes.subarray(at - length, at);
  };
  const byte = () => take(1)[0];
  const short = () => take(byte());
  const long = () => take(byte() * 256 + byte());
  const number = () => {
    const digits = short();
    if (digits.length > 4 || digits[0] === 0) throw "field";
    return digits.reduce((value, digit) => value * 256 + digit, 0);
  };
  return { at: () => at, byte, short, long, number };
}
