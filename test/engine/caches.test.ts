import { describe, expect, it } from 'vitest';
import { AttemptCache } from '../../engine/partition/attempt-cache.ts';
import { RecordCache } from '../../engine/partition/record-cache.ts';
import { Driver } from '../../engine/driver.ts';
import { toInput } from '../../events/cloud-event.ts';
import { sha256 } from '../../log/chain.ts';
import { started, vmOf } from '../support/builders.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

/** Returns a ledger with an open attempt of each of the first `count` VMs. */
async function ledgerWith(count: number): Promise<MemoryLedger> {
  const ledger = new MemoryLedger();
  const driver = new Driver(await ledger.claim(), ledger);
  for (let vm = 1; vm <= count; vm += 1)
    driver.partition.take(toInput(started(`m-${vm}`, vmOf(vm)), sha256), null, 1000, 'wall');
  await driver.flush();
  return ledger;
}

describe('AttemptCache', () => {
  it('removes the oldest durable attempts beyond its limit', async () => {
    const ledger = await ledgerWith(4);
    const cache = new AttemptCache(ledger, 2);
    for (const migration of ['m-1', 'm-2', 'm-3', 'm-4']) cache.find(migration);
    expect(cache.cachedCount).toBe(4);
    cache.evict();
    expect(cache.cachedCount).toBe(2);
    expect(cache.find('m-1')?.state.attempt.migration).toBe('m-1');
  });

  it('keeps an attempt until the batch that changed it is durable', async () => {
    const ledger = await ledgerWith(3);
    const cache = new AttemptCache(ledger, 1);
    for (const [epoch, migration] of ['m-1', 'm-2', 'm-3'].entries()) {
      const attempt = cache.find(migration);
      if (attempt !== null) cache.set(attempt, epoch);
    }
    cache.committed('m-1', 9);
    cache.evict();
    expect(cache.cachedCount).toBe(3);
    cache.committed('m-1', 0);
    cache.committed('m-2', 1);
    cache.evict();
    expect(cache.cachedCount).toBe(1);
  });
});

describe('RecordCache', () => {
  it('removes durable records beyond its limit and loads them again', async () => {
    const ledger = await ledgerWith(3);
    const cache = new RecordCache(ledger, 1);
    for (const vm of [1, 2, 3]) cache.get(vmOf(vm));
    cache.evict();
    expect(cache.cachedCount).toBe(1);
    expect(cache.get(vmOf(1)).lastMigration).toBe('m-1');
  });

  it('keeps a changed record until its batch is durable', async () => {
    const cache = new RecordCache(new MemoryLedger(), 0);
    const record = { ...cache.get(vmOf(1)), name: 'web' };
    cache.set(record);
    cache.evict();
    expect(cache.write(vmOf(1), 0)).toEqual(record);
    cache.evict();
    expect(cache.cachedCount).toBe(1);
    cache.committed(vmOf(1), 1);
    cache.evict();
    expect(cache.cachedCount).toBe(1);
    cache.committed(vmOf(1), 0);
    cache.evict();
    expect(cache.cachedCount).toBe(0);
  });

  it('writes a record only once for each change', () => {
    const cache = new RecordCache(new MemoryLedger(), 0);
    expect(cache.write(vmOf(1), 0)).toBe(null);
    cache.set({ ...cache.get(vmOf(1)), name: 'web' });
    expect(cache.write(vmOf(1), 1)?.name).toBe('web');
    expect(cache.write(vmOf(1), 1)).toBe(null);
  });
});
