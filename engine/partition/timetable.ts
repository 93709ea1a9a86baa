import type { Attempt } from '../../events/attempt.ts';
import { type Timers, timersOf } from '../../events/entries.ts';
import { type HeapTimer, TimerHeap } from './timer-heap.ts';

/** The open deadlines of all attempts, a heap for each clock: a timer fires only on the clock that it was set on. */
export class Timetable {
  readonly #heaps = new Map<string, TimerHeap>();
  /** Of each attempt the generations of timers that lie in a heap still: none of them comes back. */
  readonly #cancelled = new Map<string, number[]>();

  /** Adds those of `after` that `before` had not. What was cancelled is dropped when it surfaces, without a look at its attempt. */
  set({ migration, clock }: Pick<Attempt, 'migration' | 'clock'>, before: Timers, after: Timers): void {
    for (const [timer, { dueAt, generation }] of timersOf(after)) {
      if (before[timer]?.generation !== generation) this.#heap(clock).push({ dueAt, migration, timer, generation });
    }
    for (const [timer, { generation }] of timersOf(before)) {
      if (after[timer]?.generation !== generation) this.#cancel(migration, generation);
    }
  }

  /** The earliest timer of the clock that was not cancelled. */
  next(clock: string): HeapTimer | undefined {
    const heap = this.#heap(clock);
    let first = heap.peek();
    while (first !== undefined && this.#wasCancelled(first)) {
      heap.pop();
      first = heap.peek();
    }
    return first;
  }

  /** Takes out the earliest timer, which is about to fire. */
  drop(clock: string): void {
    this.#heap(clock).pop();
  }

  /** A timer that fired is none of its attempt's any more, and in no heap either. */
  fired(timer: HeapTimer): void {
    this.#wasCancelled(timer);
  }

  #cancel(migration: string, generation: number): void {
    const cancelled = this.#cancelled.get(migration);
    if (cancelled === undefined) this.#cancelled.set(migration, [generation]);
    else cancelled.push(generation);
  }

  /** Asked once of each: it leaves the heap then. */
  #wasCancelled({ migration, generation }: HeapTimer): boolean {
    const cancelled = this.#cancelled.get(migration);
    const index = cancelled?.indexOf(generation) ?? -1;
    if (cancelled === undefined || index === -1) return false;
    cancelled.splice(index, 1);
    if (cancelled.length === 0) this.#cancelled.delete(migration);
    return true;
  }

  #heap(clock: string): TimerHeap {
    const heap = this.#heaps.get(clock) ?? new TimerHeap();
    this.#heaps.set(clock, heap);
    return heap;
  }
}
