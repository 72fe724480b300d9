// Live events: GET /events/stream, read by fetch because the key travels in a header. It comes back by
// itself, with the last event that it got, for as long as the page is open.

import { ApiError, authorization } from "./api.js";

/** The service says that it is there every ten seconds. */
const SILENCE = 25_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** `take` is given each event, `skipped` what was not sent, `state` "open" or why it is not; `position.last` is
 * the event to go on from. Ends with `signal`. */
export async function listen(query, { position, take, skipped, state, signal }) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    try {
      await read(query, position.last, attempt, (frame) => {
        pause = FIRST_PAUSE;
        if (frame === null) return state("open");
        if (frame.event === "skipped") return skipped(frame.data);
        position.last = frame.data.id;
        return take(frame.data);
      });
      state("The stream ended. Connecting again.");
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return window.dispatchEvent(new Event("kraiter-refused"));
      state(`${error.status ? error.message : "The service cannot be reached."} Connecting again.`);
    } finally {
      signal.removeEventListener("abort", stop);
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

async function read(query, last, attempt, take) {
  const headers = { authorization: authorization(), accept: "text/event-stream" };
  if (last) headers["last-event-id"] = last;
  let silence = setTimeout(() => attempt.abort(), SILENCE);
  try {
    const answer = await fetch(`/events/stream?${new URLSearchParams(query)}`, { headers, cache: "no-store", signal: attempt.signal });
    if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => ({})));
    take(null);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      silence = setTimeout(() => attempt.abort(), SILENCE);
      text += value;
      const frames = text.split("\n\n");
      text = frames.pop();
      for (const frame of frames) {
        const fields = Object.fromEntries(frame.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
        if (fields.data) take({ event: fields.event, data: JSON.parse(fields.data) });
      }
    }
  } finally {
    clearTimeout(silence);
  }
}
