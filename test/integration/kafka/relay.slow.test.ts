import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../events/commands.ts';
import type { Entry } from '../../../events/entries.ts';
import { connectTo } from '../../../kafka/client.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { splitForSending, RecordProducer } from '../../../kafka/record-producer.ts';
import { Relay } from '../../../producers/kafka/relay.ts';
import { entryOfInput, entryOfMalformed, VM } from '../../support/entries.ts';
import { declared, started } from '../../service/harness.ts';
import { brokersForTests } from './brokers/index.ts';
import { eventually, forTest, instance, metric, ready } from './instances.ts';
import { alterTopic, type Scratch, scratchTopics } from './scratch.ts';
import { valuesOf } from './values.ts';

const shared = await brokersForTests();

const command = (id: string, bytes = 60_000): Command => ({
  command: id,
  migration: 'm-1',
  vm: VM,
  kind: 'release-lock',
  host: 'host-a',
  volume: 'vol-1',
  mode: 'exclusive',
  token: 1,
  contested: false,
  error: 'x'.repeat(bytes),
  onlyIf: [],
  boot: null,
  try: 1,
});

describe('splitForSending', () => {
  it('limits the bytes per part, keeps the order, isolates large records', () => {
    const wide = '\uFFFD'.repeat(100_000);
    const values = ['a', wide, wide, wide, 'b', 'x'.repeat(2_000_000), 'c', 'd'];
    const parts = splitForSending(values.map((value) => ({ key: null, value })));
    expect(parts.flat().map(({ value }) => value)).toEqual(values);
    expect(parts.map((part) => part.length)).toEqual([3, 2, 1, 2]);
    expect(splitForSending([])).toEqual([]);
  });
});

/** Relays these entries as entries of partition 1. */
async function relayed(scratch: Scratch, entries: readonly Entry[]) {
  const producer = new RecordProducer(connectTo({ brokers: scratch.brokers, clientId: 'test' }));
  const told: string[] = [];
  const truncated: string[] = [];
  const all = Promise.withResolvers<void>();
  const relay = new Relay(
    {
      partition: 1,
      partitions: 2,
      topics: topicsOf(scratch.prefix),
      producer,
      read: async function* (from) {
        await Promise.resolve();
        for (const [index, entry] of entries.entries()) if (index + 1 >= from) yield { sequence: index + 1, entry };
      },
      saveCheckpoint: (sequence) => {
        if (sequence === entries.length) all.resolve();
      },
      truncated: (kind) => void truncated.push(kind),
      log: (level, message) => void told.push(`${level}: ${message}`),
    },
    1,
  );
  await all.promise;
  await relay.stop();
  await producer.close();
  return { told, truncated };
}

describe.skipIf(shared === null)('Relay', () => {
  const brokers = shared?.bootstrap ?? [];

  it('sends commands in order, but no command of a recording', async () => {
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
    const { told } = await relayed(scratch, entries);
    expect(told).toEqual([]);
    const letters = await valuesOf(brokers, topics.deadLetters);
    expect(letters.map(({ value, headers }) => [Number.parseInt(value, 10), headers['position']])).toEqual(
      Array.from({ length: 30 }, (_, nth) => [nth, `1:${nth + 1}`]),
    );
    const sent = await valuesOf(brokers, topics.commands);
    expect(sent.map(({ headers }) => headers['id'])).toEqual(commands);
  });

  it('sends a truncated dead letter for a record above the limit', async () => {
    const scratch = forTest(await scratchTopics(brokers, 2));
    const topics = topicsOf(scratch.prefix);
    const refusal = { code: 'BAD_EVENT', message: 'no such field', remedy: 'Mend it.' };
    const huge = 5 * 1024 * 1024;
    const { told, truncated } = await relayed(scratch, [
      entryOfInput('one', { commands: [command('c-1'), command('c-2', huge), command('c-3')] }),
      entryOfInput('two', { refusal, content: 'y'.repeat(huge) }),
      entryOfInput('three', { refusal, commands: [command('c-4', 3 * 1024 * 1024)] }),
    ]);
    expect(truncated).toEqual(['command', 'dead-letter']);
    expect(told).toEqual([
      expect.stringMatching(/^error: a command of 52\d{5} bytes exceeds the record limit of topic .*\.commands/),
      expect.stringMatching(
        /^error: a dead-letter of 52\d{5} bytes exceeds the record limit of topic .*\.dead-letters/,
      ),
    ]);
    const sent = await valuesOf(brokers, topics.commands);
    expect(sent.map(({ headers }) => headers['id'])).toEqual(['c-1', 'c-3', 'c-4']);
    const letters = await valuesOf(brokers, topics.deadLetters);
    expect(letters.map(({ headers: { code, position, cut, id } }) => [code, position, cut, id])).toEqual([
      ['TOO_LARGE', '1:1', 'true', 'c-2'],
      ['BAD_EVENT', '1:2', 'true', undefined],
      ['BAD_EVENT', '1:3', undefined, undefined],
    ]);
    expect(letters.map(({ value }) => value.length)).toEqual([65_536, 65_536, expect.any(Number)]);
  });

  it('retries while its topic rejects records, and inputs continue', async () => {
    const scratch = forTest(await scratchTopics(brokers, 1));
    const { deadLetters } = topicsOf(scratch.prefix);
    const one = await instance(scratch, 'one');
    await ready(scratch, one);
    const lag = () => metric(one, 'landfall_relay_lag_entries{partition="0"}');
    const allLeft = () => eventually(async () => ((await lag()) === 0 ? true : null));
    expect((await one.post(started('m-1'))).status).toBe(202);
    await allLeft();
    // Dead letters have no key, so a compacted topic rejects them.
    await alterTopic(brokers, deadLetters, { 'cleanup.policy': 'compact' });
    await refuses(brokers, deadLetters);
    const before = (await valuesOf(brokers, deadLetters)).length;
    const refused = { ...started('m-1'), time: '2026-11-25T10:00:00Z' };
    expect((await one.post(refused)).status).toBe(409);
    for (let nth = 0; nth < 5; nth += 1) expect((await one.post(declared())).status).toBe(202);
    await wait(3000);
    expect(await lag()).toBe(6);
    await alterTopic(brokers, deadLetters, { 'cleanup.policy': 'delete' });
    await allLeft();
    expect((await valuesOf(brokers, deadLetters)).slice(before).map(({ headers }) => headers['code'])).toContain(
      'ATTEMPT_EXISTS',
    );
    await one.stop();
  });
});

/** Waits until the broker applies the change, which the controller knows earlier: a record without a key is then rejected. */
async function refuses(brokers: readonly string[], topic: string): Promise<void> {
  const producer = new RecordProducer(connectTo({ brokers, clientId: 'test' }));
  const isRefused = () =>
    producer.send(topic, 0, [{ key: null, value: 'probe' }]).then(
      () => null,
      () => true,
    );
  await eventually(isRefused);
  await producer.close();
}
