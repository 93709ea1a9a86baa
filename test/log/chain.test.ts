import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { link } from '../../log/chain.ts';

describe('the hash of an entry', () => {
  it('covers the previous hash, a line feed and the UTF-8 text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom('', '\ud800', 'x'.repeat(200_000), '✓'.repeat(30_000)),
    );
    fc.assert(
      fc.property(text, fc.stringMatching(/^[0-9a-f]{64}$/), (entry, previous) => {
        expect(link(previous, entry)).toBe(createHash('sha256').update(`${previous}\n${entry}`).digest('hex'));
      }),
    );
  });
});
