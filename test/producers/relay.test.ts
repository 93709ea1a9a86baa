import { beforeEach, describe, expect, it } from 'vitest';

import { type RunningRelay, startRelay } from '../../consumers/kafka/relay-checkpoint.ts';
import type { Entry } from '../../events/entries.ts';
import { topicsOf } from '../../kafka/options.ts';
import type { NewRecord } from '../../kafka/port.ts';
import type { Owner } from '../../log/port.ts';
import { Relay, RELAYED } from '../../producers/kafka/relay.ts';
import { entryOfMalformed } from '../support/entries.ts';
import { HandTime, turns } from '../support/hand-time.ts';

/** A partition whose refused inputs are relayed to the dead letters by one owner after another. */
class RelayedPartition {
  readonly time = new HandTime();
  readonly entries: Entry[] = [];
  /** The sequences whose dead letters reached the topic. */
  readonly sent: number[] = [];
  /** The checkpoint as the ledger stores it. */
  stored = 0;
  /** True while sends wait for their acknowledgement. */
  isHolding = false;
  /** True to make the next send fail. */
  isFailing = false;
  readonly #held: (() => void)[] = [];

  startOwner(): RunningRelay {
    const checkpoints = new Map(this.stored === 0 ? [] : [[RELAYED, this.stored]]);
    const commit: Owner['commit'] = (batch) => {
      for (const { key, value } of batch.checkpoints ?? []) if (key === RELAYED) this.stored = value;
      return Promise.resolve({ sequence: this.entries.length, hash: '' });
    };
    const start = (next: number, saveCheckpoint: (sequence: number) => void) =>
      new Relay(
        {
          partition: 0,
          partitions: 1,
          topics: topicsOf('test'),
          producer: { send: (_topic, _partition, messages) => this.#send(messages) },
          read: (from) => this.#read(from),
          saveCheckpoint,
          log: () => {},
        },
        next,
      );
    return startRelay({ checkpoints, commit } as unknown as Owner, { key: RELAYED, start }, this.time);
  }

  /** Commits one refused input per sequence number, up to this one. */
  commitTo(sequence: number, running: RunningRelay | null = null): void {
    const first = this.entries.length + 1;
    for (let each = first; each <= sequence; each += 1)
      this.entries.push(entryOfMalformed(`bad-${each}`, `bad ${each}`));
    running?.relay.committed(first, this.entries.slice(first - 1));
  }

  acknowledge(): void {
    this.isHolding = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  async #send(messages: readonly NewRecord[]): Promise<null> {
    if (this.isHolding) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.isFailing) {
      this.isFailing = false;
      throw new Error('the broker does not answer');
    }
    this.sent.push(...messages.map(({ headers }) => Number(String(headers?.['position']).split(':')[1])));
    return null;
  }

  async *#read(from: number): AsyncGenerator<{ sequence: number; entry: Entry }> {
    await Promise.resolve();
    for (const [index, entry] of this.entries.entries()) if (index + 1 >= from) yield { sequence: index + 1, entry };
  }
}

async function stopOwner({ relay, saveCheckpoint }: RunningRelay): Promise<void> {
  await relay.stop();
  await saveCheckpoint();
}

const CHECKPOINT_MS = 1000;

describe('relay checkpoint', () => {
  let partition: RelayedPartition;
  beforeEach(() => {
    partition = new RelayedPartition();
    partition.commitTo(3);
  });

  it('lets the next owner continue after the last acknowledged record', async () => {
    const first = partition.startOwner();
    await turns();
    await stopOwner(first);
    expect(partition.stored).toBe(3);
    partition.commitTo(5);
    const second = partition.startOwner();
    await turns();
    await stopOwner(second);
    expect(partition.sent).toEqual([1, 2, 3, 4, 5]);
  });

  it('stays before records that are not acknowledged', async () => {
    partition.isHolding = true;
    const owner = partition.startOwner();
    await turns();
    await partition.time.pass(CHECKPOINT_MS);
    expect([partition.stored, partition.sent]).toEqual([0, []]);
    partition.acknowledge();
    await turns();
    await partition.time.pass(CHECKPOINT_MS);
    expect([partition.stored, partition.sent]).toEqual([3, [1, 2, 3]]);
    await stopOwner(owner);
  });

  it('makes the next owner repeat records whose checkpoint was lost', async () => {
    partition.startOwner();
    await turns();
    // This owner dies: neither the timer nor a stop stores its checkpoint.
    expect(partition.stored).toBe(0);
    const second = partition.startOwner();
    await turns();
    await stopOwner(second);
    expect(partition.sent).toEqual([1, 2, 3, 1, 2, 3]);
    expect(partition.stored).toBe(3);
  });

  it('advances with every batch committed while the owner runs', async () => {
    const owner = partition.startOwner();
    await turns();
    partition.commitTo(4, owner);
    await turns();
    partition.commitTo(6, owner);
    await turns();
    await partition.time.pass(CHECKPOINT_MS);
    expect([partition.stored, partition.sent]).toEqual([6, [1, 2, 3, 4, 5, 6]]);
    await stopOwner(owner);
  });

  it('does not repeat acknowledged records after a failed send', async () => {
    const owner = partition.startOwner();
    await turns();
    partition.isFailing = true;
    partition.commitTo(5, owner);
    await expect.poll(() => partition.sent.length, { timeout: 5000 }).toBe(5);
    expect(partition.sent).toEqual([1, 2, 3, 4, 5]);
    await stopOwner(owner);
    expect(partition.stored).toBe(5);
  });
});
