/** Lists that come in pages. */

export interface Page<T> {
  items: T[];
  /** What `page` takes to get the next one; `null` on the last. */
  nextCursor: string | null;
}

/**
 * A list that is read page by page, as far as it is asked for. Nothing is requested before the first
 * item is, and the next page only when the one before is used up. Each loop reads anew.
 */
export class List<T> implements AsyncIterable<T> {
  readonly #read: (cursor: string | undefined) => Promise<Page<T>>;

  /** @internal */
  constructor(read: (cursor: string | undefined) => Promise<{ items: T[]; nextCursor?: string | null }>) {
    this.#read = async (cursor) => {
      const { items, nextCursor } = await read(cursor);
      return { items, nextCursor: nextCursor ?? null };
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { items } of this.pages()) yield* items;
  }

  /** One page: the first, or the one that a `nextCursor` leads to. */
  page(cursor?: string | null): Promise<Page<T>> {
    return this.#read(cursor ?? undefined);
  }

  /** Page after page. One may be empty and not the last. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let cursor: string | null = null;
    do {
      const page: Page<T> = await this.page(cursor);
      yield page;
      cursor = page.nextCursor;
    } while (cursor !== null);
  }

  /** The first `count` items, or as many as there are. */
  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    if (count <= 0) return taken;
    for await (const item of this) {
      taken.push(item);
      if (taken.length >= count) break;
    }
    return taken;
  }
}
