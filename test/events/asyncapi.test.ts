import specs from '@asyncapi/specs';
import { Ajv, type ValidateFunction } from 'ajv';
import { assert, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toEvent } from '../../events/cloud-event.ts';
import { Listing } from '../../events/commands.ts';
import { topicsOf } from '../../kafka/options.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { claimRecord, entryRecords, progressRecord } from '../../log/kafka/records.ts';
import { Relay } from '../../producers/kafka/relay.ts';
import { asyncApiText } from '../../scripts/docs/asyncapi.ts';
import { longStory } from '../support/projection-story.ts';

/** A part of the document. A text in it is read with `textOf`. */
type Node = { readonly [key: string]: Node };

const document = JSON.parse(asyncApiText()) as Node;

const official: object = specs.schemas['3.0.0'];

/** Formats are not part of what the document promises, and the official schema uses some that ajv does not know. */
const OPTIONS = { strict: false, allErrors: true, validateFormats: false } as const;
const ajv = () => new Ajv(OPTIONS);

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : assert.fail('not a text');
}

/** Returns the part of the document that a reference names. */
function at(reference: string): Node {
  const names = reference.replace('#/', '').split('/');
  return names.reduce((node, name) => node[name] ?? assert.fail(`${reference} names nothing`), document);
}

function* referencesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref' && typeof inner === 'string') yield inner;
    else yield* referencesIn(inner);
  }
}

/** Yields the path of each field without a description in a JSON Schema. */
function* undescribed(schema: Node, path: string): Generator<string> {
  for (const [name, field] of Object.entries(schema['properties'] ?? {})) {
    if (field['description'] === undefined) yield `${path}.${name}`;
    yield* undescribed(field, `${path}.${name}`);
  }
  for (const key of ['items', 'additionalProperties'] as const) {
    const inner = schema[key];
    if (typeof inner === 'object') yield* undescribed(inner, `${path}[]`);
  }
  for (const key of ['anyOf', 'oneOf', 'allOf'] as const)
    for (const inner of Object.values(schema[key] ?? {})) yield* undescribed(inner, path);
}

/** Validates records against the messages of one channel. */
class Channel {
  readonly #messages: readonly {
    name: string;
    key: ValidateFunction;
    headers: ValidateFunction;
    payload: ValidateFunction;
  }[];

  constructor(name: string) {
    const compile = (schema: Node | undefined) => ajv().compile(schema ?? {});
    this.#messages = Object.values(document['channels']?.[name]?.['messages'] ?? {}).map((reference) => {
      const message = at(textOf(reference['$ref']));
      const key = compile(message['bindings']?.['kafka']?.['key']);
      return {
        name: textOf(message['name']),
        key,
        headers: compile(message['headers']),
        payload: compile(message['payload']),
      };
    });
  }

  /** Returns the names of the messages that a record matches. */
  matching({ key, value, headers = {} }: Pick<NewRecord, 'key' | 'value' | 'headers'>, isText = false): string[] {
    const text = value === null ? null : value.toString();
    const payload: unknown = text === null || isText ? text : JSON.parse(text);
    return this.#messages
      .filter((message) => message.key(key ?? null) && message.headers(headers) && message.payload(payload))
      .map(({ name }) => name);
  }
}

describe('docs/asyncapi.json', () => {
  it('is valid by the official schema of AsyncAPI 3.0', () => {
    // The official schema contains the meta-schema of JSON Schema, so ajv must not add its own copy.
    const validate = new Ajv({ ...OPTIONS, meta: false, validateSchema: false }).compile(official);
    expect([validate(document), validate.errors]).toEqual([true, null]);
  });

  it('has only references to existing parts', () => {
    const references = [...referencesIn(document)];
    expect(references.length).toBeGreaterThan(20);
    for (const reference of references) expect(at(reference)).toBeTypeOf('object');
  });

  it('names the topics that Landfall uses', () => {
    const addresses = Object.values(document['channels'] ?? {}).map((channel) => channel['address']);
    expect(new Set(addresses)).toEqual(new Set(Object.values(topicsOf('{prefix}'))));
  });

  it('describes every field of inputs, questions and commands', () => {
    const messages = Object.entries(document['components']?.['messages'] ?? {});
    const described = messages.filter(([name]) => name !== 'entry' && name !== 'progress');
    expect(described.length).toBeGreaterThan(15);
    const listing = z.toJSONSchema(Listing) as unknown as Node;
    const missing = described.flatMap(([name, message]) => [...undescribed(message['payload'] ?? message, name)]);
    expect([...missing, ...undescribed(listing, 'listing')]).toEqual([]);
  });
});

describe('the records that Landfall writes to Kafka', () => {
  const sent: { topic: string; record: NewRecord }[] = [];
  let story: Awaited<ReturnType<typeof longStory>>;
  beforeAll(async () => {
    story = await longStory();
    const { stored } = story.ledger;
    const sentAll = Promise.withResolvers<void>();
    const relay = new Relay(
      {
        partition: 0,
        partitions: 1,
        topics: topicsOf('test'),
        producer: {
          send: (topic, _partition, records) => {
            sent.push(...records.map((record) => ({ topic, record })));
            return Promise.resolve(null);
          },
        },
        read: async function* () {
          await Promise.resolve();
          yield* stored;
        },
        saveCheckpoint: (sequence) => {
          if (sequence === stored.length) sentAll.resolve();
        },
        log: () => {},
      },
      1,
    );
    await sentAll.promise;
    await relay.stop();
  });

  it('are questions and commands as documented', () => {
    const channel = new Channel('commands');
    const kinds = sent.filter(({ topic }) => topic === 'test.commands').map(({ record }) => channel.matching(record));
    expect(new Set(kinds.flat())).toEqual(new Set(['question', 'command']));
    expect(kinds.every(({ length }) => length === 1)).toBe(true);
  });

  it('are dead letters as documented', () => {
    const channel = new Channel('deadLetters');
    const letters = sent.filter(({ topic }) => topic === 'test.dead-letters');
    expect(letters).not.toEqual([]);
    for (const { record } of letters) expect(channel.matching(record, true)).toEqual(['dead-letter']);
  });

  it('are entries, positions and claims as documented', () => {
    const channel = new Channel('ledger');
    const { stored } = story.ledger;
    const progressed = {
      inputPositions: [{ stream: 'test.inputs/0', offset: 4 }],
      checkpoints: [{ key: 'k', value: 1 }],
    };
    const records = entryRecords(
      stored,
      stored.map(({ entry }) => entry),
      progressed,
    );
    for (const record of records) expect(channel.matching(record)).toEqual(['entry']);
    const header = ajv().compile(at('#/components/schemas/ledgerHeader'));
    for (const record of [...records, progressRecord(progressed), claimRecord('c', 'a')])
      expect(header(JSON.parse(String(record.headers?.['landfall'])))).toBe(true);
    for (const record of [progressRecord(progressed), claimRecord('c', 'a')])
      expect(channel.matching(record)).toEqual(['progress']);
  });

  it('are inputs as documented', () => {
    const channel = new Channel('inputs');
    const inputs = story.ledger.stored.flatMap(({ entry: { cause, vm } }) =>
      cause.kind === 'input' ? [{ type: cause.type, event: toEvent({ ...cause, vm }), key: vm }] : [],
    );
    expect(inputs.length).toBeGreaterThan(20);
    for (const { type, event, key } of inputs)
      expect(channel.matching({ key, value: JSON.stringify(event) })).toEqual([type]);
  });
});
