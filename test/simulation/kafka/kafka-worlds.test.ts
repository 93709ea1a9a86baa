import { describe, expect, it } from 'vitest';
import { simulateKafka } from './simulate-kafka.ts';

const WORLDS = 12;

describe('simulated Kafka worlds', () => {
  it(`break no rule with ${WORLDS} seeds`, async () => {
    const failures: string[] = [];
    let entries = 0;
    for (let seed = 1; seed <= WORLDS; seed += 1) {
      const run = await simulateKafka({ seed });
      entries += run.entries;
      for (const { rule, message } of run.violations) failures.push(`seed ${seed}: ${rule}: ${message}`);
    }
    expect(failures).toEqual([]);
    expect(entries).toBeGreaterThan(WORLDS * 20);
  });

  it('write identical ledgers for identical seeds', async () => {
    for (const seed of [1, 2]) {
      const [one, other] = [await simulateKafka({ seed }), await simulateKafka({ seed })];
      expect(other.heads).toBe(one.heads);
      expect(other.seconds).toBe(one.seconds);
    }
  });
});
