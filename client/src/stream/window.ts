/**
 * The part of a stream that is under way: read from the caller's source and sent, and not answered
 * yet. It is bounded, so a source of any length is read no faster than answers are taken. After a
 * broken connection it is what has to be sent again.
 */

/** Two groups of what the service registers in one transaction. */
export const MAX_ITEMS = 1000;
/** Recipients may have a mail of their own. */
export const MAX_CHARACTERS = 4 << 20;
/** Lines are sent together, up to about this size. */
const CHUNK_CHARACTERS = 32 << 10;

interface Sent<Item> {
  item: Item;
  line: string;
}

const NOT_YET = Symbol();

export class Window<Item> {
  readonly #source: Iterator<Item> | AsyncIterator<Item>;
  readonly #toLine: (item: Item) => string;
  readonly #encoder = new TextEncoder();
  /** In the order of the source. */
  #unanswered: Sent<Item>[] = [];
  #characters = 0;
  /** How many of them this connection has sent. */
  #sent = 0;
  /** A read of the source that has not come back. */
  #reading: Promise<IteratorResult<Item>> | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #connection = 0;
  #makeRoom: () => void = () => {};

  constructor(source: Iterable<Item> | AsyncIterable<Item>, toLine: (item: Item) => string) {
    this.#source =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#toLine = toLine;
  }

  /** Whether the service owes something: an answer, or the end. */
  get isOwed(): boolean {
    return this.#sent > 0 || (this.#ended && this.#unanswered.length === 0);
  }

  /** Whether the source has ended and all of it is answered. */
  get isDone(): boolean {
    return this.#ended && this.#unanswered.length === 0;
  }

  /** What the source threw instead of ending. */
  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }

  /** The lines of a new connection: all that is not answered, then what the source goes on with. */
  connect(): () => Promise<Uint8Array | undefined> {
    this.#connection += 1;
    this.#sent = 0;
    this.#makeRoom();
    const connection = this.#connection;
    return () => this.#next(connection);
  }

  /** What the next answer is about. */
  answered(): { item: Item } | undefined {
    if (this.#sent === 0) return undefined;
    const first = this.#unanswered.shift();
    if (!first) return undefined;
    this.#sent -= 1;
    this.#characters -= first.line.length;
    // Room is given in large pieces: the service registers in one transaction what arrives at once.
    if (this.#unanswered.length <= MAX_ITEMS / 2 && this.#characters <= MAX_CHARACTERS / 2) this.#makeRoom();
    return first;
  }

  /** Tells the source that nothing more is wanted of it. */
  close(): void {
    this.#connection += 1;
    this.#makeRoom();
    this.#stopReading();
  }

  async #next(connection: number): Promise<Uint8Array | undefined> {
    const isStale = () => connection !== this.#connection;
    let text = "";
    let soon: Promise<typeof NOT_YET> | undefined;
    while (text.length < CHUNK_CHARACTERS && !isStale()) {
      const again = this.#unanswered[this.#sent];
      if (again) {
        text += again.line;
        this.#sent += 1;
        continue;
      }
      if (this.#ended) break;
      if (this.#isFull()) {
        if (text !== "") break;
        await new Promise<void>((resolve) => (this.#makeRoom = resolve));
        continue;
      }
      // Lines that are ready to be sent do not wait for a slow source.
      if (text !== "") soon ??= new Promise((resolve) => setImmediate(resolve, NOT_YET));
      const read = await this.#read(soon);
      if (isStale() || read === NOT_YET) break;
      this.#take(read);
    }
    return text === "" || isStale() ? undefined : this.#encoder.encode(text);
  }

  #isFull(): boolean {
    return this.#unanswered.length >= MAX_ITEMS || this.#characters >= MAX_CHARACTERS;
  }

  /** The source's next item, or that it is not there soon. A source that throws has ended. */
  async #read(soon?: Promise<typeof NOT_YET>): Promise<IteratorResult<Item> | typeof NOT_YET> {
    this.#reading ??= (async () => this.#source.next())();
    try {
      return await (soon ? Promise.race([this.#reading, soon]) : this.#reading);
    } catch (error) {
      this.#failure ??= { error };
      return { done: true, value: undefined };
    }
  }

  #take(read: IteratorResult<Item>): void {
    this.#reading = undefined;
    if (read.done) {
      this.#ended = true;
      return;
    }
    try {
      const line = `${this.#toLine(read.value)}\n`;
      this.#characters += line.length;
      this.#unanswered.push({ item: read.value, line });
    } catch (error) {
      this.#failure ??= { error };
      this.#stopReading();
    }
  }

  #stopReading(): void {
    if (this.#ended) return;
    this.#ended = true;
    // A source that is amid a read answers after it, which may be never.
    try {
      Promise.resolve(this.#source.return?.()).catch(() => {});
    } catch {
      // It has nobody left to tell.
    }
  }
}
