import { describe, expect, it } from 'vitest';
import type { Command } from '../../../events/commands.ts';
import type { Entry } from '../../../events/entries.ts';
import { connectTo } from '../../../log/kafka/client.ts';
import { topicsOf } from '../../../log/kafka/options.ts';
import { partsOf, RecordProducer } from '../../../producers/kafka/record-producer.ts';
import { Relay } from '../../../producers/kafka/relay.ts';
import { entryOfInput, entryOfMalformed, VM } from '../../support/entries.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest } from './instances.ts';
import { scratchTopics } from './scratch.ts';
import { valuesOf } from './values.ts';

const shared = await brokersForTests();

const command = (id: string): Command => ({
  command: id,
  migration: 'm-1',
  vm: VM,
  kind: 'release-lock',
  host: 'host-a',
  volume: 'vol-1',
  mode: 'exclusive',
  token: 1,
  contested: false,
  error: 'x'.repeat(60_000),
  onlyIf: [],
  boot: null,
  try: 1,
});

describe('parts of what is sent', () => {
  it('are small in bytes, keep the order, and one that is large alone goes alone', () => {
    const wide = '\uFFFD'.repeat(100_000);
    const values = ['a', wide, wide, wide, 'b', 'x'.repeat(2_000_000), 'c', 'd'];
    const parts = partsOf(values.map((value) => ({ key: null, value })));
    expect(parts.flat().map(({ value }) => value)).toEqual(values);
    expect(parts.map((part) => part.length)).toEqual([3, 2, 1, 2]);
    expect(partsOf([])).toEqual([]);
  });
});

describe.skipIf(shared === null)('what a partition asks and refuses', { timeout: 60_000 }, () => {
  const brokers = shared?.bootstrap ?? [];

  it('leaves in order, however much of it there is, and nothing of a recording does', async () => {
    const scratch = forTest(await scratchTopics(brokers, 2));
    const topics = topicsOf(scratch.prefix);
    const garbage = '\uFFFD'.repeat(65_536);
    const commands = Array.from({ length: 100 }, (_, nth) => `c-${nth}`);
    const entries: Entry[] = [
      ...Array.from({ length: 30 }, (_, nth) => entryOfMalformed(`bad-${nth}`, `${nth} ${garbage}`)),
      ...commands.map((id) => entryOfInput(id, { commands: [command(id)] })),
      entryOfInput('old', { clock: 'recording', commands: [command('old')] }),
      { ...entryOfMalformed('old', 'old'), clock: 'recording' },
    ];
    const producer = new RecordProducer(connectTo({ brokers, clientId: 'test' }));
    const warned: string[] = [];
    const all = Promise.withResolvers<void>();
    const relay = new Relay(
      {
        partition: 1,
        partitions: 2,
        topics,
        producer,
        read: async function* (from) {
          await Promise.resolve();
          for (const [index, entry] of entries.entries()) if (index + 1 >= from) yield { sequence: index + 1, entry };
        },
        relayed: (sequence) => {
          if (sequence === entries.length) all.resolve();
        },
        log: (_level, message) => void warned.push(message),
      },
      1,
    );
    await all.promise;
    await relay.stop();
    await producer.close();
    expect(warned).toEqual([]);
    const letters = await valuesOf(brokers, topics.deadLetters);
    expect(letters.map(({ value, headers }) => [Number.parseInt(value, 10), headers['position']])).toEqual(
      Array.from({ length: 30 }, (_, nth) => [nth, `1:${nth + 1}`]),
    );
    const sent = await valuesOf(brokers, topics.commands);
    expect(sent.map(({ headers }) => headers['id'])).toEqual(commands);
  });
});
