/** Newline-delimited JSON: lines out of a body, however its chunks are cut. */

/** Whole lines only: a last one without its line break was cut off, and is left out. */
export async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", from)) {
      const line = rest + text.slice(from, at);
      rest = "";
      from = at + 1;
      if (line.trim() !== "") yield line;
    }
    rest += text.slice(from);
  }
}
