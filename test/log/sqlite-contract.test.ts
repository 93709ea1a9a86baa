import { ledgerContract } from '../contracts/ledger.ts';
import { Scratch } from './sqlite-harness.ts';

ledgerContract('SQLite', async () => {
  const scratch = new Scratch();
  return {
    partitions: 1,
    open: () => scratch.openSabotaged(),
    failNextCommit: async (outcome) => scratch.sabotage(outcome),
    cleanup: async () => scratch[Symbol.dispose](),
  };
});
