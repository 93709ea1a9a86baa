import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import { groupOf, topicsOf } from '../../../kafka/options.ts';
import { claimMessage } from '../../../log/kafka/records.ts';
import { Transactor } from '../../../kafka/transactor.ts';
import { brokersForTests } from './brokers/index.ts';
import { forTest } from './instances.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('transactions of one owner', { timeout: 60_000 }, () => {
  it('may follow each other at once, also where one has nothing but an offset', async () => {
    const { brokers, prefix } = forTest(await scratchTopics(shared?.bootstrap ?? [], 1));
    const { inputs, ledger } = topicsOf(prefix);
    const kafka = connectTo({ brokers, clientId: 'one' });
    const record = (nth: number) => claimMessage(0, `claim-${nth}`, 'one');
    const transactor = await Transactor.open(kafka, `${prefix}.0`, ledger, record(0));
    onTestFinished(() => transactor.close());
    const admin = kafka.admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    for (let nth = 1; nth <= 100; nth += 1) {
      await transactor.commit([record(nth)], null);
      await transactor.commit([], { group: groupOf(prefix), topic: inputs, partition: 0, next: nth });
    }
    const [told] = await admin.fetchOffsets({ groupId: groupOf(prefix), topics: [inputs] });
    expect(told?.partitions).toMatchObject([{ partition: 0, offset: '100' }]);
  });
});
