import type { Attempt } from '../../events/attempt.ts';
import type { Timers } from '../../events/entries.ts';
import { type HeapTimer, TimerHeap } from './timer-heap.ts';

/** The open deadlines of all attempts, a heap for each clock: a timer fires only on the clock that it was set on. */
export class Timetable {
  readonly #heaps = new Map<string, TimerHeap>();

  /** Adds those of `after` that `before` had not. What was cancelled is dropped when it surfaces. */
  set(attempt: Pick<Attempt, 'migration' | 'clock'>, before: Timers, after: Timers): void {
    for (const [timer, { dueAt, generation }] of Object.entries(after)) {
      if (before[timer]?.generation === generation) continue;
      this.#heap(attempt.clock).push({ dueAt, migration: attempt.migration, timer, generation });
    }
  }

  /** The earliest timer of the clock that is still current. */
  next(clock: string, isCurrent: (timer: HeapTimer) => boolean): HeapTimer | undefined {
    const heap = this.#heap(clock);
    let first = heap.peek();
    while (first !== undefined && !isCurrent(first)) {
      heap.pop();
      first = heap.peek();
    }
    return first;
  }

  drop(clock: string): void {
    this.#heap(clock).pop();
  }

  #heap(clock: string): TimerHeap {
    const heap = this.#heaps.get(clock) ?? new TimerHeap();
    this.#heaps.set(clock, heap);
    return heap;
  }
}
