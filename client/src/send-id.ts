/** Ids of sends, made here so that a call can be repeated without doing it twice. */

const BYTES = 16;
const TIME_BYTES = 6;

/** Randomness is fetched for many ids at once: for each by itself it costs more than all the rest. */
const pool = new Uint8Array(256 * BYTES);
let used = pool.length;

/** `snd_` and a UUID of version 7, in base64url: what the service itself would make. */
export function newSendId(): string {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const bytes = pool.slice(used, used + BYTES);
  used += BYTES;
  let time = Date.now();
  for (let at = TIME_BYTES - 1; at >= 0; at -= 1) {
    bytes[at] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return `snd_${Buffer.from(bytes).toString("base64url")}`;
}
