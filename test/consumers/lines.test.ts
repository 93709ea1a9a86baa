import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLine } from '../../consumers/line-json.ts';
import { type Line, readLines } from '../../consumers/lines.ts';
import { findLastProbes } from '../../consumers/recording/last-probes.ts';

async function linesOf(chunks: readonly (Buffer | string)[], bytesMax?: number): Promise<Line[]> {
  return Array.fromAsync(readLines(streamOf(chunks), bytesMax));
}

async function* streamOf(chunks: readonly (Buffer | string)[]): AsyncGenerator<Buffer | string> {
  yield* chunks;
}

describe('readLines', () => {
  it('returns the same lines for any chunk size', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'ä', '🙂', '\n', '\r') });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(20)), async (whole, sizes) => {
        const bytes = Buffer.from(whole);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        const lines = await linesOf(chunks);
        const expected = whole.split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(lines.map((line) => line.text)).toEqual(expected);
        expect(lines.map((line) => line.number)).toEqual(expected.map((_, index) => index + 1));
        expect(lines.at(-1)?.torn ?? false).toBe(whole !== '' && !whole.endsWith('\n'));
      }),
    );
  });

  it('keeps only prefix, length and digest of a line over the limit', async () => {
    const long = 'x'.repeat(5_000_000);
    const chunks = Array.from({ length: 500 }, (_, index) => long.slice(index * 10_000, (index + 1) * 10_000));
    const [first, second] = await linesOf([...chunks, '\nshort\n'], 1_000_000);
    const digest = createHash('sha256').update(long).digest('hex');
    expect(first).toMatchObject({ bytes: 5_000_000, oversized: true, torn: false, digest });
    expect(first?.text.length).toBeLessThanOrEqual(65_536);
    expect(second).toMatchObject({ text: 'short', oversized: false, digest: null, number: 2 });
  });

  it('removes a byte order mark only at the start of the file', async () => {
    const lines = await linesOf(['\ufeffa\n\ufeffb\n']);
    expect(lines.map(({ text }) => text)).toEqual(['a', '\ufeffb']);
  });
});

describe('parseLine', () => {
  const line = (text: string, changes: Partial<Line> = {}): Line => ({
    number: 1,
    text,
    bytes: text.length,
    oversized: false,
    torn: false,
    digest: null,
    raw: Buffer.from(text),
    ...changes,
  });

  it.each<[string, Partial<Line>, string]>([
    ['{"a":', {}, 'BAD_JSON'],
    ['{"a":', { torn: true }, 'CUT_OFF'],
    ['[', {}, 'BAD_JSON'],
    ['[', { torn: true }, 'BAD_JSON'],
    ['[{}]', {}, 'BAD_JSON'],
    ['{}', { oversized: true }, 'TOO_LARGE'],
  ])('rejects %s %j with %s', (text, changes, code) => {
    expect(() => parseLine(line(text, changes))).toThrow(expect.objectContaining({ code }));
  });

  it('accepts complete JSON without a final newline', () => {
    expect(parseLine(line('{"a":1}', { torn: true }))).toEqual({ a: 1 });
  });

  it('rejects JSON that nests deeper than the limit', () => {
    const nested = (levels: number) => line(`{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`);
    expect(() => parseLine(nested(63))).not.toThrow();
    for (const levels of [64, 200_000])
      expect(() => parseLine(nested(levels))).toThrow(expect.objectContaining({ code: 'BAD_JSON' }));
  });
});

describe('the reader of recordings', () => {
  it('finds the last query of each host in each recording', async () => {
    const probe = (host: string) => `{"kind":"probe","host":"${host}"}\n`;
    const scenario = '{"kind":"scenario"}\n';
    const found = await findLastProbes(
      streamOf([scenario, probe('a'), '\n', probe('b'), probe('a'), scenario, probe('a')]),
    );
    expect([...found].map(([line, hosts]) => [line, Object.fromEntries(hosts)])).toEqual([
      [1, { a: 4, b: 3 }],
      [6, { a: 2 }],
    ]);
  });
});
