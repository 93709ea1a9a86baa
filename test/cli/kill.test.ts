import { expect, it } from 'vitest';
import { requireSameLedgerAfterKills, SEED } from './kill-ingest.ts';

/** Checks invariants 8 and 10 with real processes; kill.slow.test.ts repeats the check with more kills. */

it(`ends in the same ledger after 3 killed ingest processes (SEED=${SEED})`, async () => {
  await expect(requireSameLedgerAfterKills(3)).resolves.toBeUndefined();
});
