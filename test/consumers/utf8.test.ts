import { describe, expect, it } from 'vitest';
import { delivered } from '../../consumers/kafka/input-record.ts';
import { parseLine } from '../../consumers/line-json.ts';
import { keptOfLine, readLines } from '../../consumers/lines.ts';
import { declared } from '../support/builders.ts';

const event = (id: string) => Buffer.from(JSON.stringify({ ...declared(), id: '#' }).replace('#', id), 'latin1');

async function* streamOf(...chunks: Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

describe('the reader of inputs', () => {
  it.each(['a\u00ff', 'a\u00fe', 'a\u00c3'])('refuses a line if its id has an invalid byte: %j', async (id) => {
    const bytes = event(id);
    for (const end of ['\n', '']) {
      const [line] = await Array.fromAsync(readLines(streamOf(bytes, Buffer.from(end))));
      if (line === undefined) throw new Error('there is no line');
      expect(() => parseLine(line)).toThrow(expect.objectContaining({ code: 'BAD_UTF8' }));
      expect(keptOfLine(line)).toMatchObject({ encoding: 'base64', text: bytes.toString('base64') });
    }
  });

  it('keeps the bytes of an invalid Kafka record in a dead letter', () => {
    const value = event('a\u00ff');
    const place = { stream: 'kafka:inputs/0', offset: 7, partition: 0, partitions: 1 };
    expect(delivered({ key: null, value }, place)).toMatchObject({
      malformed: { offset: 7, encoding: 'base64', text: value.toString('base64'), fault: { code: 'BAD_UTF8' } },
    });
  });
});
