import { describe, expect, it } from 'vitest';
import { snappy } from '../../kafka/codecs.ts';

const TEXT = Buffer.from('{"vm":"one"}'.repeat(40));

/** Frames blocks as snappy-java does: a magic word, two version numbers, and each block after its length. */
function framed(...blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const parts = blocks.flatMap((block) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    return [length, block];
  });
  return Buffer.concat([header, ...parts]);
}

describe('the Snappy codec', () => {
  it('decompresses a block without a frame, as librdkafka writes it', async () => {
    expect(await snappy.decompress(await snappy.compress({ buffer: TEXT }))).toEqual(TEXT);
  });

  it('decompresses framed blocks, as the Java client writes them', async () => {
    const block = await snappy.compress({ buffer: TEXT });
    expect(await snappy.decompress(framed(block, block))).toEqual(Buffer.concat([TEXT, TEXT]));
    expect(await snappy.decompress(framed())).toEqual(Buffer.alloc(0));
  });

  it('rejects a frame that is truncated or has invalid lengths', async () => {
    const whole = framed(await snappy.compress({ buffer: TEXT }));
    const [lengthAt, backwards] = [16, Buffer.from(whole)];
    backwards.writeInt32BE(-4, lengthAt);
    for (const bad of [whole.subarray(0, -3), whole.subarray(0, lengthAt + 2), backwards])
      await expect(snappy.decompress(bad)).rejects.toThrow(RangeError);
  });
});
