import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import type { KafkaClient } from '../../../kafka/port.ts';
import { Replica } from '../../../log/kafka/replica.ts';
import { LedgerTailer } from '../../../log/kafka/ledger-tailer.ts';
import type { KafkaLedger } from '../../../log/kafka/ledger.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { entriesOf } from '../../support/entries.ts';
import { brokersForTests, uniqueName } from './brokers/index.ts';
import { committedRecords } from './faults/topic.ts';
import { eventually, forTest } from './instances.ts';
import { rawClient } from './raw-client.ts';
import { type Scratch, scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

const scratchOf = async (partitions: number) => forTest(await scratchTopics(shared?.bootstrap ?? [], partitions));

/** Commits four transactions in every partition, each with an input position. */
async function fill(ledger: KafkaLedger, partitions: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition += 1) {
    const owner = await ledger.claim(partition);
    for (let n = 1; n <= 4; n += 1) {
      await owner.commit({ entries: entriesOf(`${n}`, 3), inputPositions: [{ stream: 'in', offset: n }] });
    }
  }
}

/** A projection that ends the writer thread once, when a `.sabotage` file exists beside the ledger file. */
const SABOTEUR = new URL('../../log/saboteur.ts', import.meta.url).href;

const sequences = (replicas: readonly Replica[]) => replicas.map(({ readableSequence }) => readableSequence);

/** Starts a tailer with its own replicas and records its joins and fetched batches. */
async function tailerOf(scratch: Scratch, group: string) {
  const folder = scratch.folder('tailer');
  mkdirSync(folder, { recursive: true });
  const replicas = await Promise.all(
    Array.from({ length: scratch.partitions }, (_, partition) =>
      Replica.open(
        { file: join(folder, `${partition}.db`), partition, projections: [SABOTEUR], machineVersion: 'test' },
        () => {},
      ),
    ),
  );
  const kafka = connectTo({ brokers: scratch.brokers, clientId: 'tailer' });
  const fetched: { partition: number; from: number; replicated: number }[] = [];
  let joins = 0;
  const watched: KafkaClient = {
    ...kafka,
    consumer: (settings, events) =>
      kafka.consumer(settings, {
        ...events,
        assigned: (assignment) => {
          joins += 1;
          events.assigned(assignment);
        },
        batch: (batch, progress) => {
          const { partition, records } = batch;
          fetched.push({ partition, from: records[0]?.offset ?? -1, replicated: replicas[partition]?.offset ?? -1 });
          return events.batch(batch, progress);
        },
      }),
  };
  const tailer = new LedgerTailer(watched, {
    topic: `${scratch.prefix}.ledger`,
    group,
    replicas,
    log: () => {},
    overtaken: () => {},
  });
  onTestFinished(async () => {
    await tailer.stop();
    await Promise.all(replicas.map((copy) => copy.close()));
  });
  await tailer.start();
  const sabotage = (partition: number) => writeFileSync(join(folder, `${partition}.db.sabotage`), 'lost');
  return { tailer, replicas, fetched, joins: () => joins, sabotage };
}

/** Joins a group as a second member, waits for an assignment, and leaves. */
async function joinAndLeave(scratch: Scratch, groupId: string): Promise<void> {
  const member = rawClient(scratch.brokers, 'other').consumer({ groupId, allowAutoTopicCreation: false });
  const joined = Promise.withResolvers<void>();
  member.on(member.events.GROUP_JOIN, () => joined.resolve());
  await member.connect();
  await member.subscribe({ topics: [`${scratch.prefix}.ledger`], fromBeginning: true });
  await member.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  await joined.promise;
  await member.disconnect();
}

describe.skipIf(shared === null)('LedgerTailer', () => {
  it('continues at the ends of the replicas after a rebalance', async () => {
    const scratch = await scratchOf(3);
    const ledger = await scratch.open('one');
    await fill(ledger, 3);
    const group = uniqueName('follow');
    const { replicas, fetched, joins, tailer } = await tailerOf(scratch, group);
    await eventually(async () => (sequences(replicas).every((last) => last === 12) ? true : null));
    const [before, seen] = [joins(), fetched.length];
    await joinAndLeave(scratch, group);
    // The group rebalances twice: when the second member joins and when it leaves.
    await eventually(async () => (joins() >= before + 2 ? true : null));
    const owner = await ledger.claim(1);
    await owner.commit({ entries: entriesOf('late', 1), inputPositions: [{ stream: 'in', offset: 5 }] });
    await eventually(async () => (replicas[1]?.readableSequence === 13 ? true : null));
    await eventually(async () => ([0, 1, 2].every((each) => tailer.lag(each) === 0) ? true : null));
    const again = fetched.slice(seen);
    expect(again.length).toBeGreaterThan(0);
    expect(again.filter(({ from, replicated }) => from < replicated)).toEqual([]);
    expect(replicas.map(({ inputPositions, fault }) => [inputPositions.get('in'), fault])).toEqual([
      [4, null],
      [5, null],
      [4, null],
    ]);
    await ledger.close();
  });

  it('recovers a replica whose file could not be written', async () => {
    const scratch = await scratchOf(1);
    const ledger = await scratch.open('one');
    await fill(ledger, 1);
    const { replicas, sabotage } = await tailerOf(scratch, uniqueName('follow'));
    await eventually(async () => (sequences(replicas)[0] === 12 ? true : null));
    sabotage(0);
    await (await ledger.claim(0)).commit(late());
    await eventually(async () => replicas[0]?.fault ?? null);
    await eventually(async () => (sequences(replicas)[0] === 13 ? true : null));
    expect(replicas[0]?.fault).toBeNull();
    await ledger.close();
  });

  it('detects a record that was written to the topic twice', async () => {
    const scratch = await scratchOf(1);
    const ledger = await scratch.open('one');
    await fill(ledger, 1);
    const { replicas } = await tailerOf(scratch, uniqueName('follow'));
    await eventually(async () => (sequences(replicas)[0] === 12 ? true : null));
    const topic = `${scratch.prefix}.ledger`;
    const [records = []] = await committedRecords(scratch.brokers, topic);
    const third = records.find((each) => each.kind === 'entry' && each.link.sequence === 3);
    if (third?.kind !== 'entry') throw new Error('there is no third entry');
    const { sequence, previous, hash, text } = third.link;
    const producer = new RecordProducer(connectTo({ brokers: scratch.brokers, clientId: 'test' }));
    const headers = { landfall: JSON.stringify({ kind: 'entry', sequence, previous, hash }) };
    await producer.send(topic, 0, [{ key: null, value: text, headers }]);
    await producer.close();
    const fault = await eventually(async () => replicas[0]?.fault ?? null);
    expect(fault).toMatchObject({ code: 'LEDGER_ALTERED', message: expect.stringContaining('0:3') });
    await ledger.close();
  });

  it('replicates all partitions to two instances with the same name', async () => {
    const scratch = await scratchOf(2);
    const writer = await scratch.open('writer');
    await fill(writer, 2);
    const namesakes = await Promise.all([1, 2].map((n) => scratch.open('one', { folder: scratch.folder(`one-${n}`) })));
    await Promise.all([0, 1].map((each) => writer.claim(each).then((owner) => owner.commit(late()))));
    for (const each of namesakes) {
      await eventually(async () => (sequences([each.replica(0), each.replica(1)]).join() === '13,13' ? true : null));
    }
    await Promise.all([writer, ...namesakes].map((each) => each.close()));
  });

  it('reports its age and follows the new owner after it was fenced', async () => {
    const scratch = await scratchOf(1);
    const [one, two] = [await scratch.open('one'), await scratch.open('two')];
    const stale = await one.claim(0);
    await stale.commit(late());
    await eventually(async () => ((one.ageMs(0, Date.now()) ?? 9999) < 2000 ? true : null));
    await (await two.claim(0)).commit(late());
    const committedAt = Date.now();
    while (one.replica(0).readableSequence < 2) {
      const now = Date.now();
      const ageMs = one.ageMs(0, now) ?? 0;
      // The reported age must not hide the missing commit.
      expect(now - ageMs).toBeLessThanOrEqual(committedAt);
      expect(now - committedAt).toBeLessThan(20_000);
      await wait(50);
    }
    await eventually(async () => (Date.now() - (one.ageMs(0, Date.now()) ?? 9999) > committedAt ? true : null));
    await expect(stale.commit(late())).rejects.toMatchObject({ code: 'LEDGER_FENCED' });
    // The stale owner's attempt does not disturb the current owner.
    expect((await two.head(0)).sequence).toBe(2);
    expect(two.lag(0)).toBe(0);
    await Promise.all([one.close(), two.close()]);
  });

  it('waits for an open transaction at the end of the topic', async () => {
    const scratch = await scratchOf(1);
    const ledger = await scratch.open('one');
    const owner = await ledger.claim(0);
    // Readers see no record behind the beginning of an open transaction.
    const producer = rawClient(scratch.brokers).producer({
      transactionalId: uniqueName('open'),
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({
      topic: `${scratch.prefix}.ledger`,
      messages: [{ partition: 0, key: null, value: 'open' }],
    });
    await owner.commit(late());
    await ledger.close();
    const opened = scratch.open('one');
    const first = await Promise.race([opened.then(() => 'opened'), wait(1500, 'waits')]).catch(String);
    expect(first).toBe('waits');
    await transaction.abort();
    const again = await opened;
    expect(again.replica(0).head.sequence).toBe(1);
    await Promise.all([again.close(), producer.disconnect()]);
  });
});

function late() {
  return { entries: entriesOf('late', 1), inputPositions: [] };
}
