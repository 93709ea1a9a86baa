import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Defect, plant } from './mutants.ts';
import type { LikelyKafkaFaults } from './world/kafka-sim.ts';

/** Test the checker of the Kafka worlds: with one defect in the product, a world must violate the rule within seconds. */

const SEEDS_MAX = 150;

type Tooth = Defect & { readonly name: string; readonly rules: readonly string[]; readonly likely?: LikelyKafkaFaults };

const TEETH: readonly Tooth[] = [
  {
    name: 'a transactional id of each instance, which fences no other owner',
    file: 'log/kafka/ledger.ts',
    right: 'Transactor.open(this.kafka, `${prefix}.${partition}`, target, record)',
    wrong: 'Transactor.open(this.kafka, `${prefix}.${partition}.${clientId}`, target, record)',
    rules: ['chain whole'],
  },
  {
    name: 'input positions ahead of the commit',
    file: 'log/kafka/owner.ts',
    right: 'positions.set(position.stream, position);',
    wrong: 'positions.set(position.stream, { ...position, offset: position.offset + 1 });',
    rules: ['no input lost'],
  },
];

afterEach(() => {
  vi.resetModules();
  vi.restoreAllMocks();
});

describe('the checker of the Kafka worlds', () => {
  it.each(TEETH)('finds $name', async ({ rules, likely = {}, ...defect }) => {
    vi.resetModules();
    plant(defect);
    try {
      expect(rules).toContain(await firstViolation(rules, likely));
    } finally {
      vi.doUnmock(defect.file);
    }
  });
});

async function firstViolation(rules: readonly string[], likely: LikelyKafkaFaults): Promise<string> {
  const { simulateKafka } = await import('./simulate-kafka.ts');
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const { violations } = await simulateKafka({ seed, until: rules, likely });
    const found = violations.find(({ rule }) => rules.includes(rule));
    if (found !== undefined) {
      console.log(`seed ${seed}: ${found.rule}: ${found.message}`);
      return found.rule;
    }
  }
  return 'nothing';
}
