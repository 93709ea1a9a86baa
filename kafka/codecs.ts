import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs, { CompressionTypes } from './kafkajs.ts';

/**
 * kafkajs brings gzip only. Whoever writes into a topic chooses how: one record in a way that cannot be read would end every
 * consumer of its partition, again and again, before anything is known of it. So all that Kafka has are read here.
 */

/**
 * Entries of one batch say much the same: compressed they are a tenth, which the client copies and sums up several times, and
 * every broker and reader after it. The thread pool does it, at the fastest level.
 */
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** A batch of 32 MiB that is all zeros would be many gigabytes. */
const BATCH_BYTES_MAX = 1024 * 1024 * 1024;

type Codec = {
  readonly compress: (encoder: { readonly buffer: Buffer }) => Promise<Buffer>;
  readonly decompress: (buffer: Buffer) => Promise<Buffer>;
};

const zstdCompressed = promisify(zstdCompress);
const zstdDecompressed = promisify(zstdDecompress);

const zstd: Codec = {
  compress: ({ buffer }) => zstdCompressed(buffer, FASTEST),
  decompress: (buffer) => zstdDecompressed(buffer, { maxOutputLength: BATCH_BYTES_MAX }),
};

// Both are loaded when a record needs them: they are machine code, and most topics, and all files, go without.
const lz4: Codec = {
  compress: async ({ buffer }) => (await import('lz4-napi')).compressFrame(buffer),
  decompress: async (buffer) => (await import('lz4-napi')).decompressFrame(buffer),
};

export const snappy: Codec = {
  compress: async ({ buffer }) => (await import('snappy')).compress(buffer),
  decompress: async (buffer) => {
    const { uncompress } = await import('snappy');
    const blocks = blocksOf(buffer).map((block) => uncompress(block, { asBuffer: true }));
    return Buffer.concat((await Promise.all(blocks)).map((block) => Buffer.from(block)));
  },
};

/** The Java client frames its blocks as snappy-java does; librdkafka and others send one block, bare. */
const XERIAL = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0]);
/** The magic word, and two versions of four bytes. */
const XERIAL_HEADER_BYTES = 16;
const LENGTH_BYTES = 4;

function blocksOf(buffer: Buffer): Buffer[] {
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return [buffer];
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < buffer.length; ) {
    const [begin, length] = [at + LENGTH_BYTES, buffer.readInt32BE(at)];
    at = begin + length;
    if (length < 0 || at > buffer.length) throw new RangeError(`a block of Snappy has ${length} bytes, it says`);
    blocks.push(buffer.subarray(begin, at));
  }
  return blocks;
}

// No name of these is one that Node finds in the exports of kafkajs.
kafkajs.CompressionCodecs[CompressionTypes.ZSTD] = () => zstd;
kafkajs.CompressionCodecs[CompressionTypes.LZ4] = () => lz4;
kafkajs.CompressionCodecs[CompressionTypes.Snappy] = () => snappy;
export const ZSTD = CompressionTypes.ZSTD;
