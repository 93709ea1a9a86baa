import { createRequire } from 'node:module';
import type { ICustomPartitioner, Message, PartitionMetadata } from 'kafkajs';
import { encodeRecord } from './record-encoder.ts';

/**
 * Replaces three functions of kafkajs, which has no setting for them. The first two are equivalent and faster: without them the
 * Kafka ledger decides fewer inputs per second than the goal in docs/benchmarks.md (35 µs per input instead of 11). The third one keeps the
 * broker's reason for refusing a topic. If kafkajs lacks one of these modules, its own code stays in use.
 */

const require = createRequire(import.meta.url);

const REPLACEMENTS: Readonly<Record<string, (original: unknown) => unknown>> = {
  'kafkajs/src/protocol/recordBatch/record/v0/index.js': () => encodeRecord,
  'kafkajs/src/producer/groupMessagesPerPartition.js': () => groupMessagesPerPartition,
  // Later versions of this response also use the `parse` of version 0.
  'kafkajs/src/protocol/requests/createTopics/v0/response.js': withReasons,
};

export type Grouping = {
  readonly topic: string;
  readonly partitionMetadata: PartitionMetadata[];
  readonly messages: readonly Message[];
  readonly partitioner: ReturnType<ICustomPartitioner>;
};

/** Groups messages by partition; the original copies all groups for each message. */
export function groupMessagesPerPartition(grouping: Grouping): Record<number, Message[]> {
  const { topic, partitionMetadata, messages, partitioner } = grouping;
  const groups: Record<number, Message[]> = {};
  if (partitionMetadata.length === 0) return groups;
  for (const message of messages) {
    const partition = partitioner({ topic, partitionMetadata, message });
    (groups[partition] ??= []).push(message);
  }
  return groups;
}

type CreateTopicsAnswer = {
  readonly topicErrors: readonly { readonly topic: string; readonly errorMessage?: string | null }[];
};
type ResponseParser = { readonly parse: (answer: CreateTopicsAnswer) => Promise<CreateTopicsAnswer> };

/**
 * Returns a parser for responses to CreateTopics whose errors have the message of the broker instead of a general
 * message.
 */
export function withReasons(original: unknown): ResponseParser {
  const parser = original as ResponseParser;
  const parse = async (answer: CreateTopicsAnswer): Promise<CreateTopicsAnswer> => {
    try {
      return await parser.parse(answer);
    } catch (error) {
      const errors = error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
      for (const each of errors as (Error & { readonly topic?: string })[]) {
        const reason = answer.topicErrors.find(({ topic }) => topic === each.topic)?.errorMessage;
        if (typeof reason === 'string' && reason !== '') each.message = reason;
      }
      throw error;
    }
  };
  return { ...parser, parse };
}

for (const [path, replacement] of Object.entries(REPLACEMENTS)) {
  const filename = resolved(path);
  if (filename === null) continue;
  const original: unknown = require(filename);
  const loaded = require.cache[filename];
  if (loaded !== undefined) loaded.exports = replacement(original);
}

function resolved(path: string): string | null {
  try {
    return require.resolve(path);
  } catch {
    return null;
  }
}
