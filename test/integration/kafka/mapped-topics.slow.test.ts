import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../log/chain.ts';
import { connectTo } from '../../../kafka/client.ts';
import { topicsOf } from '../../../kafka/options.ts';
import { RecordProducer } from '../../../kafka/record-producer.ts';
import { declared, textOf } from '../../service/harness.ts';
import { scratchFolder } from '../../support/landfall.ts';
import { brokersForTests, uniqueName } from './brokers/index.ts';
import { eventually, forTest, instance, metric, ready } from './instances.ts';
import { lettersOf } from './letters.ts';
import { withRawAdmin } from './raw-client.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('Mapped topics', () => {
  it('turn each matching record into one input', async () => {
    const brokers = shared?.bootstrap ?? [];
    const kafka = connectTo({ brokers, clientId: 'test' });
    const [theirs, ours] = [uniqueName('orchestrator'), uniqueName('cloudevents')];
    for (const topic of [theirs, ours]) await makeTopic(brokers, topic);
    const file = join(scratchFolder(), 'mappings.json');
    writeFileSync(
      file,
      JSON.stringify([
        { topic: ours },
        {
          topic: theirs,
          when: { '/kind': 'MigrationBegan' },
          event: {
            specversion: '1.0',
            source: 'orchestrator',
            id: { from: '/event/id' },
            type: 'landfall.migration.started.v1',
            subject: { from: '/vm' },
            data: { migration: { from: '/job' }, source: { from: '/from' }, destination: { from: '/to' } },
          },
        },
      ]),
    );
    const scratch = forTest(await scratchTopics(brokers, 2));
    const one = await instance(scratch, 'one', { kafkaMappings: file });
    await ready(scratch, one);
    const vm = randomUUID();
    const producer = new RecordProducer(kafka);
    const send = (topic: string, value: unknown) =>
      producer.send(topic, 0, [{ key: null, value: typeof value === 'string' ? value : JSON.stringify(value) }]);
    const began = { kind: 'MigrationBegan', event: { id: 'e-1' }, vm, job: 'm-1', from: 'host-a', to: 'host-b' };
    await send(ours, declared(vm));
    await eventually(async () => ((await one.get(`/v1/vms/${vm}`)).status === 200 ? true : null));
    for (const value of ['no json', { kind: 'SomethingElse' }, { kind: 'MigrationBegan', vm }, began, began]) {
      await send(theirs, value);
    }
    const found = await eventually(async () => {
      const { body } = await one.get('/v1/migrations');
      return body.items.length > 0 ? body.items : null;
    });
    expect(found.map((item) => [item['migration'], item['vm'], item['source'], item['destination']])).toEqual([
      ['m-1', vm, 'host-a', 'host-b'],
    ]);
    await producer.close();
    await one.stop();
  });

  it('are read while one is missing, which is reported until it exists', async () => {
    const brokers = shared?.bootstrap ?? [];
    const kafka = connectTo({ brokers, clientId: 'test' });
    const [present, missing] = [uniqueName('present'), uniqueName('missing')];
    await makeTopic(brokers, present);
    const file = join(scratchFolder(), 'mappings.json');
    writeFileSync(file, JSON.stringify([{ topic: present }, { topic: missing }]));
    const scratch = forTest(await scratchTopics(brokers, 1));
    const one = await instance(scratch, 'one', { kafkaMappings: file });
    await ready(scratch, one);
    const unread = () => metric(one, 'landfall_mapped_topics_unread');
    const producer = new RecordProducer(kafka);
    const [first, second] = [randomUUID(), randomUUID()];
    const taken = (vm: string) =>
      eventually(async () => ((await one.get(`/v1/vms/${vm}`)).status === 200 ? true : null));
    await producer.send(present, 0, [{ key: null, value: JSON.stringify(declared(first)) }]);
    await taken(first);
    expect(await unread()).toBe(1);
    expect(one.logged.filter((line) => line.includes(`mapped topics are missing: ${missing}`))).toHaveLength(1);
    await makeTopic(brokers, missing);
    await producer.send(missing, 0, [{ key: null, value: JSON.stringify(declared(second)) }]);
    await taken(second);
    expect(await unread()).toBe(0);
    await producer.close();
    await one.stop();
  });

  it('continue behind records that are too large, and read many records', async () => {
    const brokers = shared?.bootstrap ?? [];
    const kafka = connectTo({ brokers, clientId: 'test' });
    const theirs = uniqueName('large');
    await makeTopic(brokers, theirs, [{ name: 'max.message.bytes', value: '16777216' }]);
    const file = join(scratchFolder(), 'mappings.json');
    writeFileSync(
      file,
      JSON.stringify([{ topic: theirs, when: { '/type': 'landfall.vm.declared.v1' } }, UNMAPPED(theirs)]),
    );
    const scratch = forTest(await scratchTopics(brokers, 2));
    const producer = new RecordProducer(kafka);
    const send = (...values: string[]) =>
      producer.send(
        theirs,
        0,
        values.map((value) => ({ key: null, value })),
      );
    const noJson = `x${'é'.repeat(5 * MIB)}`;
    const unmapped = JSON.stringify({ kind: 'unmapped', padding: 'x'.repeat(5 * MIB) });
    const tooLarge = JSON.stringify({ ...declared(randomUUID()), padding: 'x'.repeat(13 * MIB) });
    const deep = `{"type":"landfall.vm.declared.v1","x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    const ours = JSON.stringify({ ...declared(randomUUID()), source: 'landfall:service' });
    for (const value of [noJson, unmapped, tooLarge, deep, ours]) await send(value);
    const vms = Array.from({ length: 20 }, () => randomUUID());
    const names = Array.from({ length: 100 }, (_, index) => `name-${index}`);
    for (const name of names) await send(...vms.map((vm) => JSON.stringify(named(vm, name))));
    const one = await instance(scratch, 'one', { kafkaMappings: file });
    await ready(scratch, one);
    // The last name of each VM is in force.
    await eventually(async () => {
      const { body } = await one.get('/v1/vms?limit=1000');
      const held = body.items.filter((item) => textOf(item['name']) === names.at(-1));
      return held.length === vms.length ? held : null;
    });
    const history = await one.get(`/v1/vms/${vms[0]}/history?limit=1000`);
    expect(history.body.items).toHaveLength(names.length);
    const left = await lettersOf(brokers, topicsOf(scratch.prefix).deadLetters);
    expect(left.map(({ headers }) => headers['code'])).toEqual([
      'BAD_JSON',
      'UNMAPPED',
      'TOO_LARGE',
      'BAD_JSON',
      'FORBIDDEN',
    ]);
    for (const [index, value] of [noJson, unmapped, tooLarge].entries()) {
      const whole = Buffer.from(value);
      const letter = left[index];
      expect(letter?.headers).toMatchObject({ cut: 'true', bytes: String(whole.length), digest: sha256(value) });
      expect(letter?.value.equals(whole.subarray(0, letter.value.length))).toBe(true);
    }
    await producer.close();
    await one.stop();
  });
});

type ConfigEntries = { name: string; value: string }[];

async function makeTopic(brokers: readonly string[], topic: string, configEntries: ConfigEntries = []): Promise<void> {
  await withRawAdmin(brokers, (admin) =>
    admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: true }),
  );
}

const MIB = 1024 * 1024;
const UNMAPPED = (topic: string) => ({ topic, when: { '/kind': 'unmapped' }, event: { id: { from: '/missing' } } });
const named = (vm: string, name: string) => ({
  ...declared(vm),
  data: { name, host: 'host-a', power: 'running', volumes: [] },
});
