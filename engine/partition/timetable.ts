import type { Attempt } from '../../events/attempt.ts';
import { type Timers, timersOf } from '../../events/entries.ts';
import { type HeapTimer, TimerHeap } from './timer-heap.ts';

/** The open deadlines of all attempts, with one heap per clock: a timer fires only on the clock it was set on. */
export class Timetable {
  readonly #heaps = new Map<string, TimerHeap>();
  /** The generations of each attempt's cancelled timers that are still in a heap. A generation is never used again. */
  readonly #cancelled = new Map<string, number[]>();

  /**
   * Adds the timers that are new in `after`, and cancels the timers missing there. A cancelled timer is removed when it reaches the
   * top of the heap.
   */
  set({ migration, clock }: Pick<Attempt, 'migration' | 'clock'>, before: Timers, after: Timers): void {
    for (const [timer, { dueAt, generation }] of timersOf(after)) {
      if (before[timer]?.generation !== generation) this.#heap(clock).push({ dueAt, migration, timer, generation });
    }
    for (const [timer, { generation }] of timersOf(before)) {
      if (after[timer]?.generation !== generation) this.#cancel(migration, generation);
    }
  }

  /** Returns the earliest timer of the clock that was not cancelled. */
  next(clock: string): HeapTimer | undefined {
    const heap = this.#heap(clock);
    let first = heap.peek();
    while (first !== undefined && this.#wasCancelled(first)) {
      heap.pop();
      first = heap.peek();
    }
    return first;
  }

  /** Removes the earliest timer. */
  drop(clock: string): void {
    this.#heap(clock).pop();
  }

  /** Forgets a cancellation of a timer that has fired and is in no heap anymore. */
  fired(timer: HeapTimer): void {
    this.#wasCancelled(timer);
  }

  #cancel(migration: string, generation: number): void {
    const cancelled = this.#cancelled.get(migration);
    if (cancelled === undefined) this.#cancelled.set(migration, [generation]);
    else cancelled.push(generation);
  }

  /** Returns whether the timer was cancelled, and forgets the cancellation: the caller removes the timer from the heap. */
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
