import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { isFenced, isTopicUnknown } from '../../kafka/faults.ts';
import type {
  ConsumerEvents,
  ConsumerSettings,
  FetchedBatch,
  FetchedRecord,
  KafkaAdmin,
  KafkaClient,
  KafkaConsumer,
  NewRecord,
  TransactionalProducer,
} from '../../kafka/port.ts';

/** The contract of a Kafka client. Every implementation of kafka/port.ts passes it. */

export type KafkaHarness = {
  readonly client: (clientId: string) => KafkaClient;
  /** Returns a name that no other test uses. */
  readonly unique: (what: string) => string;
};

type How = Partial<ConsumerSettings & ConsumerEvents>;

const WAIT = { timeout: 30_000, interval: 20 };
const SESSION_MS = 6000;
const record = (value: string): NewRecord => ({ key: null, value });
const textOf = ({ value }: FetchedRecord): string => value?.toString() ?? '';

export function kafkaClientContract(name: string, harness: KafkaHarness): void {
  describe(`the Kafka client contract: ${name}`, () => {
    const kafka = harness.client('one');
    let admin: KafkaAdmin;

    beforeAll(async () => {
      admin = kafka.admin();
      await admin.connect();
      return () => admin.close();
    });

    async function newTopic(partitions = 1): Promise<string> {
      const topic = harness.unique('topic');
      await admin.createTopics([{ topic, partitions, replicationFactor: 1, configs: { 'retention.ms': '-1' } }]);
      // The brokers learn of a new topic one after the other.
      await expect.poll(async () => (await admin.ranges(topic).catch(() => new Map())).size, WAIT).toBe(partitions);
      return topic;
    }

    const highOf = async (topic: string) => (await admin.ranges(topic)).get(0)?.high;

    async function producing() {
      const producer = kafka.producer();
      await producer.connect();
      onTestFinished(() => producer.close());
      return producer;
    }

    async function transactional(id: string, topic: string): Promise<TransactionalProducer> {
      const producer = kafka.transactionalProducer({ id, topic, partition: 0, timeoutMs: 20_000 });
      await producer.connect();
      onTestFinished(() => producer.close());
      return producer;
    }

    async function commit(producer: TransactionalProducer, ...values: string[]): Promise<number | null> {
      const transaction = await producer.begin();
      const first = await transaction.send(values.map(record), { compressed: false });
      await transaction.commit();
      return first;
    }

    /** Reads a topic. The group coordinator on a broker that has just started refuses the first joins. */
    async function reader(topic: string, how: How = {}, client = kafka): Promise<Reading> {
      for (const deadline = Date.now() + WAIT.timeout; ; ) {
        const reading = new Reading(client, how.group ?? harness.unique('group'), how);
        onTestFinished(() => reading.consumer.close());
        try {
          await reading.consumer.start([topic]);
          return reading;
        } catch (error) {
          if (Date.now() > deadline) throw error;
        }
      }
    }

    it('reports the layout and the settings of a created topic', async () => {
      const topic = await newTopic(3);
      expect(await admin.topicNames()).toContain(topic);
      expect((await admin.layouts([topic]))[0]?.partitions.map(({ hasLeader }) => hasLeader)).toEqual([
        true,
        true,
        true,
      ]);
      const configs = await admin.configs([{ topic, names: ['retention.ms'] }]);
      expect(configs.get(topic)?.get('retention.ms')).toBe('-1');
      expect(await admin.ranges(topic)).toEqual(
        new Map([0, 1, 2].map((partition) => [partition, { low: 0, high: 0 }])),
      );
    });

    it('rejects a question about an unknown topic with a known error', async () => {
      const asked = admin.ranges(harness.unique('missing'));
      expect(isTopicUnknown(await asked.catch((error: unknown) => error))).toBe(true);
    });

    it('returns the offset of the first record of each send', async () => {
      const topic = await newTopic();
      const producer = await producing();
      expect(await producer.send(topic, 0, [record('a'), record('b')])).toBe(0);
      expect(await producer.send(topic, 0, [record('c')])).toBe(2);
      expect(await highOf(topic)).toBe(3);
    });

    it('delivers keys, values and headers unchanged and in order', async () => {
      const topic = await newTopic();
      const producer = await producing();
      const headers = { id: 'seven' };
      await producer.send(topic, 0, [{ key: 'k', value: 'a', headers }, record('b')]);
      const { records, values, batches } = await reader(topic);
      await expect.poll(values, WAIT).toEqual(['a', 'b']);
      expect(records()[0]?.key?.toString()).toBe('k');
      expect(String(records()[0]?.headers['id'])).toBe('seven');
      expect(records()[1]?.key).toBeNull();
      expect(batches[0]?.from).toBe(0);
      expect(batches.at(-1)?.next).toBe(2);
    });

    it('hides the records of a transaction until it commits', async () => {
      const topic = await newTopic();
      const producer = await transactional(harness.unique('id'), topic);
      const transaction = await producer.begin();
      expect(await transaction.send([record('a')], { compressed: true })).toBe(0);
      const { values } = await reader(topic);
      await (await producing()).send(topic, 0, [record('b')]);
      expect(await highOf(topic)).toBe(0);
      expect(values()).toEqual([]);
      await transaction.commit();
      await expect.poll(values, WAIT).toEqual(['a', 'b']);
      await expect.poll(() => highOf(topic), WAIT).toBe(3);
    });

    it('fences the older producer of a transactional id', async () => {
      const topic = await newTopic();
      const id = harness.unique('id');
      const older = await transactional(id, topic);
      await commit(older, 'a');
      await commit(await transactional(id, topic), 'b');
      expect(isFenced(await commit(older, 'c').catch((error: unknown) => error))).toBe(true);
      const { values } = await reader(topic);
      await expect.poll(values, WAIT).toEqual(['a', 'b']);
    });

    it('aborts the open transaction of a fenced producer', async () => {
      const topic = await newTopic();
      const id = harness.unique('id');
      const open = await (await transactional(id, topic)).begin();
      await open.send([record('lost')], { compressed: false });
      await commit(await transactional(id, topic), 'kept');
      expect(isFenced(await open.commit().catch((error: unknown) => error))).toBe(true);
      const { values } = await reader(topic);
      await expect.poll(values, WAIT).toEqual(['kept']);
    });

    it('commits transactions of one producer one after the other', async () => {
      const topic = await newTopic();
      const producer = await transactional(harness.unique('id'), topic);
      for (const value of ['a', 'b', 'c', 'd']) await commit(producer, value);
      const { values } = await reader(topic);
      await expect.poll(values, WAIT).toEqual(['a', 'b', 'c', 'd']);
    });

    it('reports a batch of transaction markers without delivering it', async () => {
      const topic = await newTopic();
      const passed: number[][] = [];
      await commit(await transactional(harness.unique('id'), topic), 'a');
      await reader(topic, { passed: (...each) => passed.push(each) });
      await expect.poll(() => passed.at(-1)?.[1], WAIT).toBe(2);
    });

    it('begins a new member at the offset that a transaction committed', async () => {
      const topic = await newTopic();
      const group = harness.unique('group');
      const transaction = await (await transactional(harness.unique('id'), topic)).begin();
      await transaction.send(['a', 'b'].map(record), { compressed: false });
      await transaction.sendOffset({ group, topic, partition: 0, next: 1 });
      await transaction.commit();
      const { values } = await reader(topic, { group });
      await expect.poll(values, WAIT).toEqual(['b']);
    });

    it('begins a new member at the offset that a member committed', async () => {
      const topic = await newTopic();
      const group = harness.unique('group');
      await (await producing()).send(topic, 0, [record('a')]);
      const first = await reader(topic, { group, batch: (_, progress) => progress.commit() });
      await expect.poll(() => first.batches.length, WAIT).toBe(1);
      await first.consumer.close();
      await (await producing()).send(topic, 0, [record('b')]);
      const second = await reader(topic, { group });
      await expect.poll(second.values, WAIT).toEqual(['b']);
    });

    it('delivers records again after a seek', async () => {
      const topic = await newTopic();
      await (await producing()).send(topic, 0, ['a', 'b'].map(record));
      const { values, consumer } = await reader(topic);
      await expect.poll(values, WAIT).toEqual(['a', 'b']);
      consumer.seek(topic, 0, 1);
      await expect.poll(values, WAIT).toEqual(['a', 'b', 'b']);
    });

    it('delivers nothing of a paused partition until it resumes', async () => {
      const topic = await newTopic(2);
      const producer = await producing();
      const reading = await reader(topic);
      reading.consumer.pause(topic, [0]);
      await producer.send(topic, 0, [record('paused')]);
      await producer.send(topic, 1, [record('read')]);
      await expect.poll(reading.values, WAIT).toEqual(['read']);
      reading.consumer.resume(topic, [0]);
      await expect.poll(reading.values, WAIT).toEqual(['read', 'paused']);
    });

    it('shares the partitions between members and reassigns those of a leaver', async () => {
      const topic = await newTopic(2);
      const group = harness.unique('group');
      const one = await reader(topic, { group });
      const two = await reader(topic, { group }, harness.client('two'));
      await expect
        .poll(() => [...one.partitions(topic), ...two.partitions(topic)].toSorted((a, b) => a - b), WAIT)
        .toEqual([0, 1]);
      expect((await admin.groupClients(group)).toSorted()).toEqual(['one', 'two']);
      await two.consumer.close();
      await expect.poll(() => one.partitions(topic), WAIT).toEqual([0, 1]);
      expect(one.rebalances).toBeGreaterThan(0);
    });

    it('assigns declined partitions to a member that takes them', async () => {
      const topic = await newTopic(2);
      const group = harness.unique('group');
      const one = await reader(topic, { group, declined: () => [0, 1] });
      await expect.poll(() => one.partitions(topic), WAIT).toEqual([0, 1]);
      const two = await reader(topic, { group, declined: () => [] }, harness.client('two'));
      await expect.poll(() => two.partitions(topic), WAIT).toEqual([0, 1]);
      await expect.poll(() => one.partitions(topic), WAIT).toEqual([]);
    });

    it('begins at the first record after each join without a committed offset', async () => {
      const topic = await newTopic(1);
      const group = harness.unique('group');
      await (await producing()).send(topic, 0, [record('a')]);
      const one = await reader(topic, { group });
      await expect.poll(one.values, WAIT).toEqual(['a']);
      const two = await reader(topic, { group }, harness.client('two'));
      await expect.poll(() => [...one.values(), ...two.values()], WAIT).toEqual(['a', 'a']);
    });
  });
}

/** A consumer of a test and everything that it reported. */
class Reading {
  readonly batches: FetchedBatch[] = [];
  readonly consumer: KafkaConsumer;
  #assignment: ReadonlyMap<string, readonly number[]> = new Map();
  rebalances = 0;

  constructor(kafka: KafkaClient, group: string, how: How) {
    const settings = {
      group,
      fetchWaitMs: 100,
      sessionTimeoutMs: SESSION_MS,
      concurrency: 2,
      declined: () => [],
      ...how,
    };
    this.consumer = kafka.consumer(settings, this.#events(how));
  }

  #events(how: Partial<ConsumerEvents>): ConsumerEvents {
    return {
      assigned: (assignment) => {
        this.#assignment = assignment;
        how.assigned?.(assignment);
      },
      rebalancing: () => {
        this.rebalances += 1;
      },
      heartbeat: () => {},
      fetched: () => {},
      batch: async (batch, progress) => {
        if (progress.isStale()) return;
        this.batches.push(batch);
        progress.resolve(batch.records.at(-1)?.offset ?? 0);
        await how.batch?.(batch, progress);
        await progress.heartbeat();
      },
      passed: (...passed) => how.passed?.(...passed),
      crashed: () => {},
    };
  }

  readonly records = (): FetchedRecord[] => this.batches.flatMap((batch) => batch.records);

  readonly values = (): string[] => this.records().map(textOf);

  partitions(topic: string): number[] {
    return [...(this.#assignment.get(topic) ?? [])].toSorted((a, b) => a - b);
  }
}
