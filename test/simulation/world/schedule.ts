type Task = { readonly at: number; readonly order: number; readonly run: () => void };

/**
 * Virtual time. Tasks run in the order of their time, and in the order of planning at equal times. All promise callbacks that
 * follow a task run before the next task, at the same virtual time.
 */
export class Schedule {
  now = 0;
  #isUnsettled = false;
  #order = 0;
  readonly #heap: Task[] = [];

  at(time: number, run: Task['run']): void {
    this.#order += 1;
    this.#push({ at: Math.max(time, this.now), order: this.#order, run });
  }

  after(ms: number, run: Task['run']): void {
    this.at(this.now + Math.max(0, Math.round(ms)), run);
  }

  /** Runs all tasks up to this time, or until `isDone` returns true. */
  async runUntil(end: number, isDone: () => boolean): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.at <= end && !isDone(); next = this.#heap[0]) {
      this.#pop();
      this.now = next.at;
      next.run();
      if (this.#isUnsettled) await this.#settle();
    }
  }

  /** Marks that a promise may have been settled. */
  unsettled(): void {
    this.#isUnsettled = true;
  }

  /** Every promise here waits only for virtual time, so all callbacks have run after one turn of the event loop. */
  async #settle(): Promise<void> {
    this.#isUnsettled = false;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #push(task: Task): void {
    const heap = this.#heap;
    heap.push(task);
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfBefore(child, parent)) return;
      child = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = parent * 2 + 1;
      const right = left + 1;
      const child = this.#isBefore(right, left) ? right : left;
      if (!this.#swapIfBefore(child, parent)) return;
      parent = child;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    if (a === undefined || b === undefined) return false;
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #swapIfBefore(one: number, other: number): boolean {
    if (!this.#isBefore(one, other)) return false;
    const [a, b] = [this.#heap[one], this.#heap[other]];
    if (a === undefined || b === undefined) return false;
    this.#heap[one] = b;
    this.#heap[other] = a;
    return true;
  }
}
