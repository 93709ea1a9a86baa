import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timetable } from '../../engine/partition/timetable.ts';
import { type HeapTimer, TimerHeap } from '../../engine/partition/timer-heap.ts';

const timer = fc.record({
  dueAt: fc.nat(50),
  migration: fc.constantFrom('a', 'b', 'c'),
  timer: fc.constantFrom('recheck', 'deadline'),
  generation: fc.nat(1000),
});

function inOrder(a: HeapTimer, b: HeapTimer): number {
  if (a.dueAt !== b.dueAt) return a.dueAt - b.dueAt;
  if (a.migration !== b.migration) return a.migration < b.migration ? -1 : 1;
  return a.generation - b.generation;
}

describe('TimerHeap', () => {
  it('returns timers in the order of their due times', () => {
    const unique = fc.uniqueArray(timer, {
      selector: (each) => `${each.migration} ${each.generation}`,
      maxLength: 300,
    });
    fc.assert(
      fc.property(unique, (timers) => {
        const heap = new TimerHeap();
        for (const each of timers) heap.push(each);
        expect(heap.size).toBe(timers.length);
        expect(heap.peek()).toEqual(timers.toSorted(inOrder)[0]);
        expect(timers.map(() => heap.pop())).toEqual(timers.toSorted(inOrder));
        expect([heap.pop(), heap.size]).toEqual([undefined, 0]);
      }),
    );
  });
});

describe('Timetable', () => {
  const attempt = { migration: 'a', clock: 'wall' };
  const [poll, deadline] = [
    { dueAt: 10, generation: 1 },
    { dueAt: 20, generation: 2 },
  ];

  it('ignores timers that were cancelled or set to another time', () => {
    const table = new Timetable();
    table.set(attempt, {}, { recheck: poll, deadline });
    expect(table.next('wall')).toEqual({ ...poll, migration: 'a', timer: 'recheck' });
    table.set(attempt, { recheck: poll, deadline }, { recheck: { dueAt: 15, generation: 3 }, deadline });
    expect(table.next('wall')?.dueAt).toBe(15);
    table.set(attempt, { recheck: { dueAt: 15, generation: 3 }, deadline }, { deadline });
    expect(table.next('wall')?.dueAt).toBe(20);
    table.set(attempt, { deadline }, {});
    expect(table.next('wall')).toBeUndefined();
  });

  it('stores the timers of each world separately', () => {
    const table = new Timetable();
    table.set(attempt, {}, { recheck: poll });
    table.set({ migration: 'b', clock: 'recorded' }, {}, { deadline });
    expect([table.next('wall')?.migration, table.next('recorded')?.migration]).toEqual(['a', 'b']);
    expect(table.next('other')).toBeUndefined();
  });

  it('returns a fired timer again after it is set again', () => {
    const table = new Timetable();
    table.set(attempt, {}, { recheck: poll });
    const due = table.next('wall');
    table.drop('wall');
    table.set(attempt, { recheck: poll }, { recheck: { dueAt: 30, generation: 4 } });
    if (due !== undefined) table.fired(due);
    expect(table.next('wall')?.dueAt).toBe(30);
  });
});
