import { describe, expect, it } from 'vitest';
import { requireSameLedgerAfterKills, SEED } from './kill-ingest.ts';

/** Checks invariants 8 and 10 with real processes. */

describe('an ingest whose process is killed', () => {
  it(`completes with the same ledger after 50 kills (SEED=${SEED})`, { timeout: 600_000 }, async () => {
    await expect(requireSameLedgerAfterKills(50)).resolves.toBeUndefined();
  });
});
