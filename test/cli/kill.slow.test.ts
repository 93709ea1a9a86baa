import { expect, it } from 'vitest';
import { requireSameLedgerAfterKills, SEED } from './kill-ingest.ts';

/** Checks invariants 8 and 10 with real processes. */

it(`ends in the same ledger after 50 killed ingest processes (SEED=${SEED})`, { timeout: 600_000 }, async () => {
  await expect(requireSameLedgerAfterKills(50)).resolves.toBeUndefined();
});
