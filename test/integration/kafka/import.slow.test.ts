import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { SocketFactory } from '../../../kafka/options.ts';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../events/entries.ts';
import { importLedger } from '../../../log/kafka/import.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { SqliteLedger } from '../../../log/sqlite/ledger.ts';
import { entriesOf, entryOfInput, entryOfMalformed } from '../../support/entries.ts';
import { scratchFolder } from '../../support/landfall.ts';
import { brokersForTests } from './brokers/index.ts';
import { committedRecords } from './faults/topic.ts';
import { FETCH, heldConnections, INIT_PRODUCER_ID, PRODUCE } from './held-connections.ts';
import { eventually, forTest } from './instances.ts';
import { type Scratch, scratchTopics } from './scratch.ts';

/** An import that is interrupted, or disturbed by another writer. */

const shared = await brokersForTests();
const PARTITIONS = 3;
/** The checkpoint keys of an import, as they appear in a produce request. */
const DONE = Buffer.from('"imported ');
const BEGUN = Buffer.from('"import ');

const HISTORY: readonly Entry[] = [
  ...entriesOf('a', 40),
  entryOfInput('site', { vm: null }),
  entryOfMalformed('bad', 'no json'),
  ...entriesOf('b', 40),
];

async function file(entries = HISTORY): Promise<string> {
  const path = join(scratchFolder(), 'ledger.db');
  const ledger = await SqliteLedger.open({ file: path, mode: 'write', machineVersion: 'test' });
  await (await ledger.claim(0)).commit({ entries, inputPositions: [] });
  await ledger.close();
  return path;
}

type Run = { readonly socketFactory?: SocketFactory; readonly follower?: SocketFactory };
let runs = 0;

async function moved(scratch: Scratch, path: string, { socketFactory, follower }: Run = {}) {
  runs += 1;
  const name = `import-${runs}`;
  const source = await SqliteLedger.open({
    file: path,
    mode: 'write',
    machineVersion: 'test',
    movingTo: scratch.prefix,
  });
  const ledger = await scratch.open(name, follower === undefined ? {} : { socketFactory: follower });
  try {
    await eventually(async () => {
      await wait(50);
      const ages = Array.from({ length: ledger.partitions }, (_, partition) => ledger.ageMs(partition, Date.now()));
      return ages.includes(null) ? null : true;
    });
    const { brokers, prefix } = scratch;
    return await importLedger({ access: { brokers, prefix, clientId: name, socketFactory }, ledger, source });
  } finally {
    await ledger.close();
    await source.close();
  }
}

/** Returns the sequences of the entries in each partition of the topic, and its import checkpoints. */
async function standing({ brokers, prefix }: Scratch) {
  const partitions = await committedRecords(brokers, topicsOf(prefix).ledger);
  return partitions.map((records) => ({
    sequences: records.flatMap((record) => (record.kind === 'entry' ? [record.link.sequence] : [])),
    texts: records.flatMap((record) => (record.kind === 'entry' ? [record.link.text] : [])),
    marks: records.flatMap((record) =>
      record.kind === 'positions' ? record.progressed.checkpoints.map(({ key }) => key.split(' ')[0]) : [],
    ),
  }));
}

const dense = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe.skipIf(shared === null)('importLedger', () => {
  const topics = async () => forTest(await scratchTopics(shared?.bootstrap ?? [], PARTITIONS));

  it('finishes a run that stopped between the last checkpoints', async () => {
    const [scratch, path] = [await topics(), await file()];
    let marks = 0;
    const cut = heldConnections((api, request) => {
      if (api !== PRODUCE || !request.includes(DONE)) return null;
      marks += 1;
      return marks === 1 ? null : Promise.reject(new Error('cut off'));
    });
    await expect(moved(scratch, path, { socketFactory: cut })).rejects.toThrow('nothing was committed');
    const between = await standing(scratch);
    expect(between.map(({ marks: found }) => found.includes('imported'))).toEqual([true, false, false]);
    // An instance may have added entries to a finished partition.
    const one = await scratch.open('one');
    await (await one.claim(0)).commit({ entries: entriesOf('later', 1), inputPositions: [] });
    await one.close();
    expect(await moved(scratch, path)).toMatchObject({ read: HISTORY.length, written: 0 });
    const after = await standing(scratch);
    for (const { sequences, marks: found } of after) {
      expect(sequences).toEqual(dense(sequences.length));
      expect(found).toEqual(['import', 'imported', 'relayed']);
    }
    await expect(moved(scratch, path)).rejects.toMatchObject({
      code: 'IMPORT_REFUSED',
      message: expect.stringContaining('holds this ledger already') as string,
    });
  });

  it('continues a run that stopped between entries', async () => {
    const wide = 'x'.repeat(100_000);
    const entries = [
      ...HISTORY,
      ...entriesOf('c', 80).map((entry) => ({ ...entry, questions: [], cause: padded(entry, wide) })),
    ];
    const [scratch, path] = [await topics(), await file(entries)];
    let sent = 0;
    const cut = heldConnections((api, request) => {
      // Requests with checkpoints are small; requests with entries are large.
      if (api !== PRODUCE || request.length < 2000) return null;
      sent += 1;
      return sent <= 1 ? null : Promise.reject(new Error('cut off'));
    });
    await expect(moved(scratch, path, { socketFactory: cut })).rejects.toThrow('nothing was committed');
    const between = await standing(scratch);
    expect(between.flatMap(({ marks }) => marks)).not.toContain('imported');
    const there = between.reduce((sum, { sequences }) => sum + sequences.length, 0);
    expect(there).toBeGreaterThan(0);
    // Entries about the site are in each partition.
    const all = entries.length + PARTITIONS - 1;
    expect(await moved(scratch, path)).toEqual({ read: entries.length, written: all - there });
    const after = await standing(scratch);
    for (const { sequences } of after) expect(sequences).toEqual(dense(sequences.length));
    const withText = (part: string) => after.map(({ texts }) => texts.filter((text) => text.includes(part)).length);
    expect(withText('"site"')).toEqual([1, 1, 1]);
    expect(withText('no json')).toEqual([1, 0, 0]);
  });

  it('refuses topics to which another writer added a record before the claim', async () => {
    const [scratch, path] = [await topics(), await file()];
    const two = await scratch.open('two');
    const owner = await two.claim(0);
    let wrote: Promise<void> | null = null;
    const late = heldConnections((api) => {
      if (api !== INIT_PRODUCER_ID || wrote !== null) return null;
      wrote = owner.commit({ entries: entriesOf('theirs', 1), inputPositions: [] }).then(() => {});
      return wrote;
    });
    const slow = heldConnections((api) => (api === FETCH ? wait(3000) : null));
    await expect(moved(scratch, path, { socketFactory: late, follower: slow })).rejects.toMatchObject({
      code: 'IMPORT_REFUSED',
      message: 'partition 0 is not empty',
    });
    await two.close();
    const after = await standing(scratch);
    expect(after.map(({ sequences, marks }) => [sequences, marks])).toEqual([
      [[1], []],
      [[], []],
      [[], []],
    ]);
  });

  it('reports a lost partition and finishes when repeated', async () => {
    const [scratch, path] = [await topics(), await file()];
    const two = await scratch.open('two');
    let taken: Promise<void> | null = null;
    const late = heldConnections((api, request) => {
      if (api !== PRODUCE || !request.includes(BEGUN) || taken !== null) return null;
      taken = two.claim(0).then(() => {});
      return taken;
    });
    await expect(moved(scratch, path, { socketFactory: late })).rejects.toMatchObject({
      code: 'IMPORT_INTERRUPTED',
      remedy: expect.stringContaining('Stop all instances') as string,
    });
    await two.close();
    expect(await moved(scratch, path)).toMatchObject({ written: HISTORY.length + PARTITIONS - 1 });
  });
});

function padded({ cause }: Entry, padding: string): Entry['cause'] {
  return cause.kind === 'input' ? { ...cause, data: { padding } } : cause;
}
