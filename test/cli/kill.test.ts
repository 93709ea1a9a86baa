import { describe, expect, it } from 'vitest';
import { requireSameLedgerAfterKills, SEED } from './kill-ingest.ts';

/** Checks invariants 8 and 10 with real processes; kill.slow.test.ts repeats the check with more kills. */

describe('an ingest whose process is killed', () => {
  it(`completes with the same ledger after 3 kills (SEED=${SEED})`, async () => {
    await expect(requireSameLedgerAfterKills(3)).resolves.toBeUndefined();
  });
});
