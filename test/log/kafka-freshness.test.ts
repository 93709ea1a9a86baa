import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Freshness } from '../../log/kafka/freshness.ts';

/** One partition that is checked once per second; `end` is the offset after the topic's last record. */
function partition({ isOwned = false } = {}) {
  const at = { end: 0, offset: null as number | null, readableOffset: null as number | null, overtaken: 0 };
  const freshness = new Freshness({
    replicas: [
      {
        get offset() {
          return at.offset;
        },
        get readableOffset() {
          return at.readableOffset;
        },
      },
    ],
    ends: () => Promise.resolve(new Map([[0, at.end]])),
    isOwned: () => isOwned,
    overtaken: () => (at.overtaken += 1),
  });
  const look = async () => {
    await freshness.look();
    vi.advanceTimersByTime(1000);
  };
  return { at, freshness, look, age: () => freshness.ageMs(0, Date.now()) };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('Freshness', () => {
  it('measures the age since a check found the replica complete', async () => {
    const { at, freshness, look, age } = partition();
    at.end = 10;
    expect(age()).toBeNull();
    freshness.read(0, 9);
    await look();
    expect([age(), freshness.lag(0)]).toEqual([1000, 0]);
  });

  it('measures the age since a requested end was reached under load', async () => {
    const { at, freshness, look, age } = partition();
    const seen: (number | null)[] = [];
    for (let second = 0; second < 60; second += 1) {
      // The records of the previous second were read, and the same number is new.
      freshness.read(0, at.end - 1);
      at.end += 5000;
      await look();
      seen.push(age());
    }
    expect([...new Set(seen)]).toEqual([null, 2000]);
    expect(freshness.lag(0)).toBe(5000);
  });

  it('returns a growing age while the replica is behind or ahead', async () => {
    const { at, freshness, look, age } = partition();
    freshness.read(0, 9);
    at.end = 10;
    await look();
    at.end = 1_000_000;
    for (let second = 0; second < 20; second += 1) {
      freshness.read(0, 10 + second);
      await look();
    }
    expect(age()).toBe(21_000);
    Object.assign(at, { end: 5, offset: 9 });
    await look();
    expect(age()).toBe(22_000);
  });

  it('reports a replaced owner after two checks with foreign records', async () => {
    const { at, look, age } = partition({ isOwned: true });
    Object.assign(at, { offset: 8, readableOffset: 8, end: 10 });
    await look();
    expect([age(), at.overtaken]).toEqual([1000, 0]);
    at.end = 12;
    await look();
    expect(at.overtaken).toBe(0);
    await look();
    expect([age(), at.overtaken]).toEqual([3000, 1]);
  });

  it('returns a growing age until the owner’s commits are readable', async () => {
    const { at, freshness, look, age } = partition({ isOwned: true });
    Object.assign(at, { offset: 8, readableOffset: 8, end: 10 });
    await look();
    Object.assign(at, { offset: 20_008, end: 20_010 });
    await look();
    await look();
    expect([age(), freshness.lag(0), at.overtaken]).toEqual([3000, 20_000, 0]);
    at.readableOffset = 20_008;
    await look();
    expect([age(), freshness.lag(0)]).toEqual([1000, 0]);
  });
});
