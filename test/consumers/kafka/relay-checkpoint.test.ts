import { describe, expect, it } from 'vitest';
import { startRelay } from '../../../consumers/kafka/relay-checkpoint.ts';
import type { Batch } from '../../../log/port.ts';
import { HandTime } from '../../support/hand-time.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';

async function setUp(stored?: number, fails = false) {
  const time = new HandTime();
  const batches: Batch[] = [];
  const owner = await new MemoryLedger().claim();
  const starts: number[] = [];
  let report: (sequence: number) => void = () => {};
  const start = (next: number, relayed: (sequence: number) => void) => {
    starts.push(next);
    report = relayed;
    return { committed: () => {}, stop: async () => {} };
  };
  const commit = async (batch: Batch) => {
    if (fails) throw new Error('fenced');
    batches.push(batch);
    return owner.claimedHead;
  };
  const checkpoints = new Map(stored === undefined ? [] : [['relay', stored]]);
  const { saveCheckpoint } = startRelay({ ...owner, checkpoints, commit }, { key: 'relay', start }, time);
  const saved = () => batches.map((batch) => batch.checkpoints);
  return { time, starts, saved, saveCheckpoint, relayed: (sequence: number) => report(sequence) };
}

describe('RelayCheckpoint', () => {
  it('starts at the first entry if no checkpoint is stored', async () => {
    expect((await setUp()).starts).toEqual([1]);
  });

  it('continues after the stored checkpoint', async () => {
    expect((await setUp(41)).starts).toEqual([42]);
  });

  it('stores the sequence of the last sent record once per second', async () => {
    const { time, saved, relayed } = await setUp();
    relayed(1);
    relayed(5);
    await time.pass(999);
    expect(saved()).toEqual([]);
    await time.pass(1);
    expect(saved()).toEqual([[{ key: 'relay', value: 5 }]]);
    await time.pass(5000);
    expect([saved().length, time.alarms]).toEqual([1, 0]);
  });

  it('stores a new sequence before a stop, and never twice', async () => {
    const { time, saved, saveCheckpoint, relayed } = await setUp(3);
    await saveCheckpoint();
    expect(saved()).toEqual([]);
    relayed(4);
    await saveCheckpoint();
    expect([saved(), time.alarms]).toEqual([[[{ key: 'relay', value: 4 }]], 0]);
  });

  it('ignores a failed save by the timer, throws on an explicit save', async () => {
    const { time, saveCheckpoint, relayed } = await setUp(0, true);
    relayed(1);
    await time.pass(1000);
    relayed(2);
    await expect(saveCheckpoint()).rejects.toThrow('fenced');
  });
});
