import { describe, it } from 'vitest';
import { everyDamage, requireNoticed, smallLedger } from './damage.ts';

describe('a damaged ledger file', () => {
  it('is recognised without a hang, for damage in every page', async () => {
    const { file, bytes } = await smallLedger();
    await requireNoticed(file, everyDamage(bytes));
  });
});
