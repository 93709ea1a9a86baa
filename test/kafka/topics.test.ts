import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaAdmin, NewTopic } from '../../kafka/port.ts';
import { initTopics, requireTopics } from '../../kafka/topics.ts';
import { TOPIC_WAIT_MS } from '../../kafka/topic-metadata.ts';

const PLAN = { prefix: 'p', partitions: 3, replicationFactor: 1, minInsyncReplicas: 1 };

class ProtocolError extends Error {
  readonly type: string;
  readonly topic?: string;
  constructor(type: string, message: string, topic?: string) {
    super(message);
    this.type = type;
    if (topic !== undefined) this.topic = topic;
  }
}

const unknownTopic = () => new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', 'This server does not host this topic');

/** An administrator of a broker that learns of created topics after `delayMs`. */
class SlowBroker implements KafkaAdmin {
  readonly #delayMs: number;
  #topics: readonly NewTopic[] = [];
  #knownAt = 0;
  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }
  connect = async () => {};
  close = async () => {};
  groupClients = async () => [];
  async createTopics(topics: readonly NewTopic[]) {
    this.#topics = topics;
    this.#knownAt = Date.now() + this.#delayMs;
  }
  async topicNames() {
    // The names are listed earlier than the topics can be described.
    return Date.now() < this.#knownAt - this.#delayMs / 2 ? [] : this.#topics.map(({ topic }) => topic);
  }
  async layouts() {
    return this.#known().map(({ topic, partitions, replicationFactor }) => ({
      topic,
      partitions: Array.from({ length: partitions }, () => ({ hasLeader: true, replicas: replicationFactor })),
    }));
  }
  async configs() {
    return new Map(this.#known().map(({ topic, configs }) => [topic, new Map(Object.entries(configs))]));
  }
  async ranges() {
    return new Map();
  }
  #known(): readonly NewTopic[] {
    if (Date.now() < this.#knownAt) throw unknownTopic();
    return this.#topics;
  }
}

const clientOf = (broker: KafkaAdmin) => ({ admin: () => broker });

async function settled<T>(work: Promise<T>, ms: number): Promise<T> {
  work.catch(() => {});
  await vi.advanceTimersByTimeAsync(ms);
  return work;
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('requireTopics', () => {
  it('retries while a broker does not know the new topics', async () => {
    const [creating, serving] = [new SlowBroker(0), new SlowBroker(8000)];
    await settled(initTopics(clientOf(creating), PLAN), 1000);
    await serving.createTopics(
      (await creating.layouts()).map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.length,
        replicationFactor: 1,
        configs: {},
      })),
    );
    const configs = () => creating.configs();
    const broker = Object.assign(serving, { configs });
    await expect(settled(requireTopics(clientOf(broker), 'p'), 9000)).resolves.toEqual({ partitions: 3 });
  });

  it('fails with KAFKA_NO_TOPIC after the documented time', async () => {
    const outcomes: unknown[] = [];
    const required = requireTopics(clientOf(new SlowBroker(0)), 'p').catch((error: unknown) => outcomes.push(error));
    await vi.advanceTimersByTimeAsync(TOPIC_WAIT_MS - 200);
    expect(outcomes).toEqual([]);
    await vi.advanceTimersByTimeAsync(400);
    await required;
    expect(outcomes).toMatchObject([{ code: 'KAFKA_NO_TOPIC', message: expect.stringContaining('p.ledger') }]);
  });
});

describe('initTopics', () => {
  it('reports each refused topic, the reason of the broker, the flag', async () => {
    const broker = new SlowBroker(0);
    const reason = 'Unable to replicate the partition 3 time(s): only 1 broker(s) are registered.';
    broker.createTopics = async (topics) => {
      const errors = topics.map(({ topic }) => new ProtocolError('INVALID_REPLICATION_FACTOR', reason, topic));
      throw Object.assign(new Error('Topic creation errors'), { errors });
    };
    await expect(
      initTopics(clientOf(broker), { ...PLAN, replicationFactor: 3, minInsyncReplicas: 2 }),
    ).rejects.toMatchObject({
      code: 'KAFKA_FAILED',
      message: expect.stringMatching(/^p\.inputs: Unable .* registered; p\.ledger: .*p\.commands: .*p\.dead-letters: /),
      remedy: expect.stringContaining('--replication-factor'),
    });
  });
});
