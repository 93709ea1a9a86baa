import { describe, expect, it } from 'vitest';
import { type Damage, everyDamage, PAGE_BLOCKS, requireNoticed, smallLedger } from './damage.ts';

/** Damages that the fast suite tries beside the zeroed entries; damage.long.test.ts tries all of them. */
const SAMPLE = 8;

describe('a damaged ledger file', () => {
  it('is recognised without a hang, for damage in sampled pages', async () => {
    const { file, bytes, entryPages } = await smallLedger();
    // The audit did not end when a zeroed block behind the header of a page left rows with sequence 0.
    const zeroed = entryPages.slice(-2).map((page): Damage => ({ kind: 'zeroed', block: page * PAGE_BLOCKS + 2 }));
    expect(zeroed).toHaveLength(2);
    const all = everyDamage(bytes);
    const step = Math.floor(all.length / SAMPLE);
    await requireNoticed(file, [...zeroed, ...all.filter((_, index) => index % step === 0)]);
  });
});
