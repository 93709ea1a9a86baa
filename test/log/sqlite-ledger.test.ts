import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { StoredEntry } from '../../log/port.ts';
import { BUCKET_BITS } from '../../log/sqlite/schema.ts';
import { entriesOf, entryOfInput, entryOfTimer, VM, vmOf } from '../support/entries.ts';
import { Scratch } from './sqlite-harness.ts';

const COUNTER = new URL('./counting-projection.ts', import.meta.url).href;

const sequencesOf = async (entries: AsyncIterable<StoredEntry>) =>
  (await Array.fromAsync(entries)).map(({ sequence }) => sequence);

describe('a search', () => {
  it('finds the entries of one VM or attempt in order', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open();
    const owner = await ledger.claim(0);
    const filler = 2 ** BUCKET_BITS;
    await owner.commit({ entries: [entryOfInput('first'), entryOfTimer('m-1')], inputPositions: [] });
    await owner.commit({
      entries: entriesOf('x', filler).map((entry) => ({ ...entry, vm: vmOf(7) })),
      inputPositions: [],
    });
    const named = entryOfInput('refused', { vm: null });
    const cause = { ...named.cause, data: { migration: 'm-1' } } as typeof named.cause;
    await owner.commit({ entries: [entryOfInput('last'), { ...named, cause }], inputPositions: [] });
    expect(await sequencesOf(ledger.readVm(VM))).toEqual([1, 2, filler + 3]);
    expect(await sequencesOf(ledger.readVm(VM, 2))).toEqual([2, filler + 3]);
    expect(await sequencesOf(ledger.readVm(vmOf(7)))).toHaveLength(filler);
    expect(await sequencesOf(ledger.readMigration('m-1'))).toEqual([2, filler + 4]);
    expect(await sequencesOf(ledger.readVm('nobody'))).toEqual([]);
    expect(ledger.entryAt(2)?.entry.cause.kind).toBe('timer');
    expect(ledger.entryAt(filler + 5)).toBeNull();
    await ledger.close();
  });
});

describe('the identity horizon', () => {
  const identity = (id: string) => ({ source: 'agent://one', id });

  it('removes identities beyond the maximum count, also after reopening', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open({ horizon: { seconds: 1e9, count: 30 } });
    const owner = await ledger.claim(0);
    for (let nth = 0; nth < 10; nth += 1) await owner.commit({ entries: entriesOf(`c${nth}`, 10), inputPositions: [] });
    expect(owner.recall([identity('c0-1')])).toEqual([null]);
    expect(owner.recall([identity('c9-10')])[0]).not.toBeNull();
    await ledger.close();
    const again = await scratch.open();
    const next = await again.claim(0);
    expect(next.recall([identity('c6-10')])).toEqual([null]);
    expect(next.recall([identity('c7-1')])[0]).not.toBeNull();
    await again.close();
  });

  it('removes identities beyond the maximum age, which can change', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open({ horizon: { seconds: 100, count: 1000 } });
    const owner = await ledger.claim(0);
    const at = (id: string, seconds: number) => ({
      entries: [entryOfInput(id, { time: seconds * 1000 })],
      inputPositions: [],
    });
    await owner.commit(at('old', 1000));
    await owner.commit(at('new', 1100));
    expect(owner.recall([identity('old')])[0]).not.toBeNull();
    await owner.commit(at('newer', 1101));
    expect(owner.recall([identity('old')])).toEqual([null]);
    expect(owner.recall([identity('new')])[0]).not.toBeNull();
    await ledger.setHorizon({ seconds: 1, count: 1000 });
    await owner.commit(at('newest', 1105));
    expect(owner.recall([identity('new'), identity('newer')])).toEqual([null, null]);
    await ledger.close();
  });
});

describe('an inline projection', () => {
  const counted = (db: DatabaseSync) => db.prepare('SELECT count, flushes FROM counted').get();

  it('writes in the same transaction as the commit', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open({ projections: [COUNTER] });
    const owner = await ledger.claim(0);
    await owner.commit({ entries: entriesOf('a', 3), inputPositions: [] });
    expect(counted(ledger.readConnection())).toEqual({ count: 3, flushes: 1 });
    await ledger.close();
  });

  it('makes the commit fail if it throws; restarts with a claim', async () => {
    using scratch = new Scratch();
    const ledger = await scratch.open({ projections: [COUNTER] });
    const owner = await ledger.claim(0);
    await owner.commit({ entries: entriesOf('a', 3), inputPositions: [] });
    const failing = [...entriesOf('b', 2), entryOfInput('fail')];
    const behind = [
      owner.commit({ entries: failing, inputPositions: [] }),
      owner.commit({ entries: [], inputPositions: [] }),
    ];
    for (const { status } of await Promise.allSettled(behind)) expect(status).toBe('rejected');
    await expect(behind[0]).rejects.toMatchObject({ code: 'LEDGER_FAILED', message: expect.stringContaining('no') });
    const next = await ledger.claim(0);
    expect(next.claimedHead.sequence).toBe(3);
    expect(next.recall([{ source: 'agent://one', id: 'b-1' }])).toEqual([null]);
    await next.commit({ entries: entriesOf('c', 1), inputPositions: [] });
    expect(counted(ledger.readConnection())).toEqual({ count: 4, flushes: 2 });
    await ledger.close();
  });

  it('is refused if its module lacks an export', async () => {
    using scratch = new Scratch();
    const projections = [new URL('./sqlite-harness.ts', import.meta.url).href];
    await expect(scratch.open({ projections })).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
  });
});
