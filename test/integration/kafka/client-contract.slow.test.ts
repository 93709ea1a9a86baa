import { describe } from 'vitest';
import { connectTo } from '../../../kafka/client.ts';
import { kafkaClientContract } from '../../contracts/kafka-client.ts';
import { brokersForTests, uniqueName } from './brokers/index.ts';

const shared = await brokersForTests();

describe.skipIf(shared === null)('The Kafka client on real brokers', () => {
  kafkaClientContract('kafkajs', {
    client: (clientId) => connectTo({ brokers: shared?.bootstrap ?? [], clientId }),
    unique: uniqueName,
  });
});
