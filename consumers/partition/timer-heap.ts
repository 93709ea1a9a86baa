/** Open deadlines in the order they fall due. One heap serves all attempts of a clock; stale ones are dropped when they surface. */
export type HeapTimer = {
  readonly dueAt: number;
  readonly migration: string;
  readonly timer: string;
  readonly generation: number;
};

const CAPACITY_MIN = 64;

/** A column for each member instead of an object for each timer: there are several of every open attempt. */
export class TimerHeap {
  #dueAt = new Float64Array(CAPACITY_MIN);
  #generations = new Float64Array(CAPACITY_MIN);
  readonly #migrations: string[] = [];
  readonly #timers: string[] = [];

  get size(): number {
    return this.#migrations.length;
  }

  peek(): HeapTimer | undefined {
    return this.#at(0);
  }

  push(item: HeapTimer): void {
    let index = this.size;
    if (index === this.#dueAt.length) this.#grow();
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#at(parent);
      if (above === undefined || !isBefore(item, above)) break;
      this.#put(index, above);
      index = parent;
    }
    this.#put(index, item);
  }

  pop(): HeapTimer | undefined {
    const first = this.#at(0);
    const last = this.#at(this.size - 1);
    this.#migrations.pop();
    this.#timers.pop();
    if (last !== undefined && this.size > 0) this.#sink(last);
    return first;
  }

  #sink(item: HeapTimer): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const a = this.#at(left);
      const b = this.#at(right);
      const child = a !== undefined && b !== undefined && isBefore(b, a) ? right : left;
      const candidate = child === right ? b : a;
      if (candidate === undefined || !isBefore(candidate, item)) break;
      this.#put(index, candidate);
      index = child;
    }
    this.#put(index, item);
  }

  #at(index: number): HeapTimer | undefined {
    const [migration, timer] = [this.#migrations[index], this.#timers[index]];
    if (migration === undefined || timer === undefined) return undefined;
    return { dueAt: this.#dueAt[index] ?? 0, migration, timer, generation: this.#generations[index] ?? 0 };
  }

  #put(index: number, { dueAt, migration, timer, generation }: HeapTimer): void {
    this.#dueAt[index] = dueAt;
    this.#generations[index] = generation;
    this.#migrations[index] = migration;
    this.#timers[index] = timer;
  }

  #grow(): void {
    const [dueAt, generations] = [this.#dueAt, this.#generations];
    this.#dueAt = new Float64Array(dueAt.length * 2);
    this.#generations = new Float64Array(dueAt.length * 2);
    this.#dueAt.set(dueAt);
    this.#generations.set(generations);
  }
}

/** Equal times are ordered by attempt and generation, so that a replay fires them alike. */
function isBefore(a: HeapTimer, b: HeapTimer): boolean {
  if (a.dueAt !== b.dueAt) return a.dueAt < b.dueAt;
  if (a.migration !== b.migration) return a.migration < b.migration;
  return a.generation < b.generation;
}
