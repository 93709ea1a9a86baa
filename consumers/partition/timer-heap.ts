/** Open deadlines in the order they fall due. One heap serves all attempts of a clock; stale ones are dropped when they surface. */
export type HeapTimer = {
  readonly dueAt: number;
  readonly migration: string;
  readonly timer: string;
  readonly generation: number;
};

export class TimerHeap {
  readonly #items: HeapTimer[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): HeapTimer | undefined {
    return this.#items[0];
  }

  push(item: HeapTimer): void {
    const items = this.#items;
    let index = items.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !isBefore(item, above)) break;
      items[index] = above;
      index = parent;
    }
    items[index] = item;
  }

  pop(): HeapTimer | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last !== undefined && items.length > 0) this.#sink(last);
    return first;
  }

  #sink(item: HeapTimer): void {
    const items = this.#items;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const a = items[left];
      const b = items[right];
      const child = a !== undefined && b !== undefined && isBefore(b, a) ? right : left;
      const candidate = items[child];
      if (candidate === undefined || !isBefore(candidate, item)) break;
      items[index] = candidate;
      index = child;
    }
    items[index] = item;
  }
}

/** Equal times are ordered by attempt and generation, so that a replay fires them alike. */
function isBefore(a: HeapTimer, b: HeapTimer): boolean {
  if (a.dueAt !== b.dueAt) return a.dueAt < b.dueAt;
  if (a.migration !== b.migration) return a.migration < b.migration;
  return a.generation < b.generation;
}
