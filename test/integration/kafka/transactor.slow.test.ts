import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import { groupOf, topicsOf } from '../../../kafka/options.ts';
import { claimRecord } from '../../../log/kafka/records.ts';
import { Transactor } from '../../../kafka/transactor.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest } from './instances.ts';
import { rawClient } from './raw-client.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('Transactor', () => {
  it('commits transactions in quick succession, with and without records', async () => {
    const { brokers, prefix } = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const { inputs, ledger } = topicsOf(prefix);
    const kafka = connectTo({ brokers, clientId: 'one' });
    const record = (nth: number) => claimRecord(`claim-${nth}`, 'one');
    const transactor = await Transactor.open(kafka, `${prefix}.0`, { topic: ledger, partition: 0 }, record(0));
    onTestFinished(() => transactor.close());
    const admin = rawClient(brokers).admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    for (let nth = 1; nth <= 100; nth += 1) {
      await transactor.commit([record(nth)], null);
      await transactor.commit([], { group: groupOf(prefix), topic: inputs, partition: 0, next: nth });
    }
    const [committed] = await admin.fetchOffsets({ groupId: groupOf(prefix), topics: [inputs] });
    expect(committed?.partitions).toMatchObject([{ partition: 0, offset: '100' }]);
  });
});
