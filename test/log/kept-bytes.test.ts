import { describe, expect, it } from 'vitest';
import { sha256 } from '../../log/chain.ts';
import { keptOf, originalOf } from '../../log/kept-bytes.ts';

const LIMIT = 65_536;

describe('the excerpt of a malformed input', () => {
  it.each<[string, Buffer]>([
    ['text', Buffer.from('{"id": "é')],
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['no UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    ['nothing', Buffer.alloc(0)],
  ])('contains all original bytes of %s', (_, bytes) => {
    const kept = keptOf(bytes);
    expect(originalOf(kept)).toEqual(bytes);
    expect(kept).toMatchObject({ bytes: bytes.length, digest: sha256(bytes) });
  });

  it.each<[string, Buffer]>([
    ['text that would be cut inside a character', Buffer.from(`x${'é'.repeat(LIMIT)}`)],
    ['four bytes to a character', Buffer.from(`xyz${'😀'.repeat(LIMIT)}`)],
    ['no UTF-8', Buffer.alloc(3 * LIMIT, 0xfe)],
  ])('ends at the limit and adds length and digest of %s', (_, bytes) => {
    const kept = keptOf(bytes);
    const original = originalOf(kept);
    expect(kept.text.length).toBeLessThanOrEqual(LIMIT);
    expect(original).toEqual(bytes.subarray(0, original.length));
    expect(original.length).toBeGreaterThan(LIMIT / 2);
    expect(kept).toMatchObject({ bytes: bytes.length, digest: sha256(bytes) });
  });
});
