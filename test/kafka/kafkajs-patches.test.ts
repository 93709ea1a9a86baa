import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message, PartitionMetadata } from '../../kafka/kafkajs.ts';
import { groupMessagesPerPartition, type Grouping, withReasons } from '../../kafka/kafkajs-patches.ts';
import { encodeRecord, type RecordFields } from '../../kafka/record-encoder.ts';

/** The replacements give the results of the original functions. */

const require = createRequire(import.meta.url);

/** Loads the original module from its file. */
function original<T>(path: string): T {
  const filename = require.resolve(path);
  const replaced = require.cache[filename];
  delete require.cache[filename];
  try {
    return require(filename) as T;
  } finally {
    if (replaced !== undefined) require.cache[filename] = replaced;
  }
}

const originalRecord = original<(fields: RecordFields) => { readonly buffer: Buffer }>(
  'kafkajs/src/protocol/recordBatch/record/v0/index.js',
);
const originalGrouping = original<(grouping: Grouping) => Record<number, Message[]>>(
  'kafkajs/src/producer/groupMessagesPerPartition.js',
);

const repeated = (unit: string, lengths: readonly number[]) =>
  fc.constantFrom(...lengths).map((length) => unit.repeat(length));
/** Includes lengths at which the encoded length starts to need one byte more. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  repeated('x', [62, 63, 64, 65, 8190, 8191, 8192, 8193, 20_000]),
  repeated('ü', [30, 31, 32, 33, 63, 64, 4095, 4096, 8191]),
  repeated('✓', [20, 21, 22, 63, 2730, 2731, 8191]),
  fc.constantFrom('\ud800', 'a\udc00b', '🦆'.repeat(17)),
);
const bytes = fc.oneof(
  text,
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
);
const record = fc.record<RecordFields, 'value'>(
  {
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.dictionary(text, fc.oneof(bytes, fc.array(bytes, { maxLength: 3 })), { maxKeys: 3 }),
    offsetDelta: fc.nat(100_000),
    timestampDelta: fc.oneof(fc.integer(), fc.constantFrom(0, 1_700_000_000_000, -1_700_000_000_000)),
  },
  { requiredKeys: ['value'] },
);

describe('the patch of kafkajs', () => {
  it('encodes records to the same bytes as kafkajs', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), (records) => {
        const ours = records.map((each) => encodeRecord(each));
        for (const [index, each] of records.entries()) {
          expect(ours[index]?.buffer.equals(originalRecord(each).buffer)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('encodes a record that is larger than its shared buffer', () => {
    const large = { key: 'k', value: 'ü'.repeat(700_000) };
    expect(encodeRecord(large).buffer.equals(originalRecord(large).buffer)).toBe(true);
  });

  it('groups messages in the same way as kafkajs', () => {
    const partitionMetadata: PartitionMetadata[] = Array.from({ length: 5 }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 0,
      replicas: [],
      isr: [],
    }));
    const partitioner: Grouping['partitioner'] = ({ message: { partition = 0 } }) => partition;
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 50 }), fc.boolean(), (partitions, isKnown) => {
        const messages = partitions.map((partition, index): Message => ({ partition, value: String(index) }));
        const grouping = { topic: 't', partitionMetadata: isKnown ? partitionMetadata : [], messages, partitioner };
        expect(groupMessagesPerPartition(grouping)).toEqual(originalGrouping(grouping));
      }),
    );
  });

  it('adds the reason of the broker to errors of topic creation', async () => {
    const version0 = original<object>('kafkajs/src/protocol/requests/createTopics/v0/response.js');
    const reason = 'only 1 broker(s) are registered';
    const answer = { topicErrors: [{ topic: 't', errorCode: 38, errorMessage: reason }] };
    await expect(withReasons(version0).parse(answer)).rejects.toMatchObject({
      errors: [{ topic: 't', type: 'INVALID_REPLICATION_FACTOR', message: reason }],
    });
  });

  /** kafkajs may hold a reference to an original function, so the test runs the code that calls the functions. */
  it('replaces the functions that the client calls', () => {
    const client = new URL('../../kafka/client.ts', import.meta.url).href;
    const program = `
    await import(${JSON.stringify(client)});
    const require = (await import('node:module')).createRequire(${JSON.stringify(import.meta.url)});
    const isLoaded = require.cache[require.resolve('kafkajs/src/producer/sendMessages.js')] !== undefined;
    const record = require('kafkajs/src/protocol/recordBatch/record/v0');
    const grouping = require('kafkajs/src/producer/groupMessagesPerPartition');
    console.log(isLoaded, record.name, grouping.name);

    const sendMessages = require('kafkajs/src/producer/sendMessages.js');
    const cluster = {
      refreshMetadataIfNecessary: async () => {},
      addMultipleTargetTopics: async () => {},
      findTopicPartitionMetadata: () => [{ partitionId: 0 }],
      findLeaderForPartitions: () => { throw new Error(grouped); },
      isConnected: () => true,
    };
    let grouped = 'the original';
    // The replacement iterates the messages; the original reduces them.
    const messages = { reduce: () => ({}), *[Symbol.iterator]() { grouped = 'replaced'; } };
    const retrier = (work) => work((error) => { throw error; }, 0, 0);
    const send = sendMessages({ cluster, retrier, partitioner: () => 0, logger: { debug() {}, error() {} } });
    await send({ topicMessages: [{ topic: 't', messages }] }).catch(({ message }) => console.log(message));

    const produce = require('kafkajs/src/protocol/requests/produce/v3/request.js');
    // The original reads the length of the header value, which is null.
    const headed = [{ key: null, value: 'v', headers: { none: null } }];
    const topicData = [{ topic: 't', partitions: [{ partition: 0, messages: headed }] }];
    const encoded = await produce({ acks: -1, timeout: 1, topicData }).encode().catch(() => null);
    console.log(encoded === null ? 'the original' : 'replaced');`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toEqual(['true encodeRecord groupMessagesPerPartition', 'replaced', 'replaced']);
  });
});
