import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectTo } from '../../../log/kafka/client.ts';
import { RecordProducer } from '../../../producers/kafka/record-producer.ts';
import { declared } from '../../service/harness.ts';
import { scratchFolder } from '../../support/landfall.ts';
import { brokersForTests, uniqueName } from './brokers/index.ts';
import { eventually, forTest, instance, ready } from './instances.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('topics of others', { timeout: 60_000 }, () => {
  it('become inputs by a mapping, once each, whatever stands between them', async () => {
    const brokers = shared?.bootstrap ?? [];
    const kafka = connectTo({ brokers, clientId: 'test' });
    const [theirs, ours] = [uniqueName('orchestrator'), uniqueName('cloudevents')];
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({
      topics: [theirs, ours].map((topic) => ({ topic, numPartitions: 1 })),
      waitForLeaders: true,
    });
    await admin.disconnect();
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
});
