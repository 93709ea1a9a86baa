import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs, { CompressionTypes } from './kafkajs.ts';

/**
 * The codecs that kafkajs lacks; it has gzip only. A producer chooses the codec of its records, and a record with an unknown codec
 * would end every consumer of its partition, so Landfall reads all codecs of Kafka.
 */

/** The fastest level already reduces a batch of similar entries to a tenth. The thread pool of Node compresses it. */
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Limits the size of a decompressed batch: 32 MiB of compressed zeros would become many gigabytes. */
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

// LZ4 and Snappy are native modules, loaded when the first record needs them.
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

/** The Java client writes blocks in the frame format of snappy-java; librdkafka writes one block without a frame. */
const XERIAL = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0]);
/** The header has a magic word and two version numbers of four bytes. */
const XERIAL_HEADER_BYTES = 16;
const LENGTH_BYTES = 4;

function blocksOf(buffer: Buffer): Buffer[] {
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return [buffer];
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < buffer.length; ) {
    const [begin, length] = [at + LENGTH_BYTES, buffer.readInt32BE(at)];
    at = begin + length;
    if (length < 0 || at > buffer.length)
      throw new RangeError(`a Snappy block has an invalid length of ${length} bytes`);
    blocks.push(buffer.subarray(begin, at));
  }
  return blocks;
}

// Node cannot import CompressionCodecs by name from kafkajs.
kafkajs.CompressionCodecs[CompressionTypes.ZSTD] = () => zstd;
kafkajs.CompressionCodecs[CompressionTypes.LZ4] = () => lz4;
kafkajs.CompressionCodecs[CompressionTypes.Snappy] = () => snappy;
export const ZSTD = CompressionTypes.ZSTD;
