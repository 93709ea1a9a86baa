import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaProducer } from '../../kafka/port.ts';
import { RecordProducer } from '../../kafka/record-producer.ts';

const RECORD = { key: null, value: 'v' };

/** Returns a producer whose sends fail with `type` until `workingAt`. */
function producerUntil(workingAt: number, type: string) {
  let made = 0;
  const producer = (): KafkaProducer => {
    made += 1;
    return {
      connect: async () => {},
      close: async () => {},
      send: async () => {
        if (Date.now() < workingAt) throw Object.assign(new Error(type), { type });
        return 7;
      },
    };
  };
  return { kafka: { producer }, made: () => made };
}

beforeEach(() => vi.useFakeTimers({ now: 0 }));
afterEach(() => vi.useRealTimers());

describe('RecordProducer', () => {
  it('repeats a send while the brokers do not know the topic', async () => {
    const { kafka, made } = producerUntil(3000, 'UNKNOWN_TOPIC_OR_PARTITION');
    const sent = new RecordProducer(kafka).send('t', 0, [RECORD]);
    await vi.advanceTimersByTimeAsync(4000);
    await expect(sent).resolves.toBe(7);
    expect(made()).toBeGreaterThan(1);
  });

  it('does not repeat a send whose outcome is unknown', async () => {
    const { kafka, made } = producerUntil(3000, 'REQUEST_TIMED_OUT');
    const sent = new RecordProducer(kafka).send('t', 0, [RECORD]);
    await expect(sent).rejects.toMatchObject({ code: 'KAFKA_FAILED' });
    expect(made()).toBe(1);
  });
});
