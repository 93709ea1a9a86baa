import { describe } from 'vitest';
import { testAlteredBits } from './altered-bits.ts';

describe('the audit of an altered ledger file', () => {
  testAlteredBits(300);
});
