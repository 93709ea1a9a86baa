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
  {
    name: 'a relay checkpoint ahead of the sends',
    file: 'producers/kafka/relay.ts',
    right: 'const wallClockItems = items',
    wrong: 'saveCheckpoint(last.sequence);\n    const wallClockItems = items',
    rules: ['commands relayed'],
    likely: { 'request-lost': 0.05, 'connection-silent': 1, 'instance-kill': 1 },
  },
  {
    name: 'a replica that stores an offset ahead of its records',
    file: 'log/kafka/replica.ts',
    right: 'const topicOffset = { key: TOPIC_OFFSET, value: this.#offset };',
    wrong: 'const topicOffset = { key: TOPIC_OFFSET, value: this.#offset + 3 };',
    rules: ['replicas complete', 'every input is decided'],
  },
  {
    name: 'repeated inputs that are not recognised',
    file: 'engine/driver.ts',
    right: '(identities) => owner.recall(identities)',
    wrong: '(identities) => identities.map(() => null)',
    rules: ['decided once'],
  },
  {
    name: 'entries that are published before their commit',
    file: 'log/kafka/owner.ts',
    right: 'const records = this.#recordsOf(links, entries, progressed);',
    wrong: 'const records = this.#recordsOf(links, entries, progressed);\n    resolveAll(group, heads);',
    rules: ['committed before sent', 'receipts are true'],
  },
  {
    name: 'an owner that does not read the end of the ledger',
    file: 'log/kafka/ledger.ts',
    right: 'await tail.seen(TAIL_MS);',
    wrong: '',
    rules: ['chain whole'],
  },
];

const isFirstOfFile = ({ file }: Tooth, index: number): boolean =>
  TEETH.findIndex((tooth) => tooth.file === file) === index;

/** Removes the planted defects. */
let planted: (() => void)[] = [];

afterEach(() => {
  for (const remove of planted) remove();
  planted = [];
  vi.resetModules();
});

describe('the checker of the Kafka worlds', () => {
  it('decides the same if modules are replaced by copies without a defect', async () => {
    const expected = await headsOf(3);
    vi.resetModules();
    for (const { file, right } of TEETH.filter(isFirstOfFile)) planted.push(plant({ file, right, wrong: right }));
    expect(await headsOf(3)).toEqual(expected);
  });

  it.each(TEETH)('finds $name', async ({ rules, likely = {}, ...defect }) => {
    vi.resetModules();
    planted.push(plant(defect));
    expect(rules).toContain(await firstViolation(rules, likely));
  });
});

async function headsOf(seeds: number): Promise<string[]> {
  const { simulateKafka } = await import('./simulate-kafka.ts');
  const heads: string[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) heads.push((await simulateKafka({ seed })).heads);
  return heads;
}

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
