import { describe } from 'vitest';
import { ledgerContract } from '../../contracts/ledger.ts';
import { brokersForTests } from './brokers/index.ts';
import { Saboteur } from './saboteur.ts';
import { scratchTopics } from './scratch.ts';

const shared = await brokersForTests();
const PARTITIONS = 3;

describe.skipIf(shared === null)('The ledger contract on Kafka', () => {
  ledgerContract('Kafka', async () => {
    const saboteur = new Saboteur();
    const scratch = await scratchTopics(shared?.bootstrap ?? [], PARTITIONS);
    return {
      partitions: PARTITIONS,
      open: () => scratch.open('one', { socketFactory: saboteur.socketFactory }),
      failNextCommit: async (outcome) => saboteur.arm(outcome),
      cleanup: async () => scratch.cleanup(),
    };
  });
});
