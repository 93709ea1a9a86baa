import { z } from 'zod';
import { Command, Question } from '../../events/commands.ts';
import { Entry } from '../../events/entries.ts';
import { type InputType, inputSchemas, isVmInputType } from '../../events/inputs.ts';
import { groupOf, topicsOf } from '../../kafka/options.ts';
import { wantedTopics } from '../../kafka/topics.ts';
import { LedgerHeader } from '../../log/kafka/records.ts';
import { channelTexts, inputTexts } from './asyncapi-texts.ts';
import { cloudEventOf } from './schemas.ts';

/**
 * Generates docs/asyncapi.json (AsyncAPI 3.0): the topics of an installation on Kafka and the records in them. The schemas are those
 * that the program validates with; the topics and their settings are those that `landfall kafka init` creates. Pure.
 */

/** The parameter of all topic names. */
const PREFIX = '{prefix}';
const KAFKA_BINDING = '0.5.0';
const topics = topicsOf(PREFIX);
/** `landfall kafka init` creates the topics with these numbers by default. */
const DEFAULTS = { prefix: PREFIX, partitions: 12, replicationFactor: 3, minInsyncReplicas: 2 };

type Json = Readonly<Record<string, unknown>>;
type ChannelName = keyof typeof topics;

/** AsyncAPI's own schema format extends draft 7 of JSON Schema. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'input'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-7', reused: 'inline' });
  return rest;
}

const text = (description: string): z.ZodString => z.string().describe(description);
const WorkHeaders = z.object({ id: text('The id of the question or command. A repeated record has the same id.') });
const LetterHeaders = z.object({
  code: text('The code of the error.'),
  message: text('The error: what happened.'),
  remedy: text('What to do.'),
  digest: text('The SHA-256 of the whole original, in hex.'),
  bytes: text('The size of the whole original in bytes, as a decimal number.'),
  cut: z.literal('true').optional().describe('Present if the value is only the first bytes of the original.'),
  stream: text('The stream of the original, such as a partition of a topic: TOPIC/PARTITION.').optional(),
  offset: text('The offset of the original in its stream, as a decimal number.').optional(),
  position: text('The position of the entry in the ledger: PARTITION:SEQUENCE.').optional(),
});
const vmKey = text('The UUID of the VM in lower case.');
const noKey = z.null().describe('The record has no key.');

type Message = {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly contentType?: string;
  readonly key: z.ZodType;
  readonly headers?: Json;
  readonly payload: Json;
};

function inputMessage(type: InputType): Message {
  const isVm = isVmInputType(type);
  return {
    name: type,
    title: type,
    summary: inputTexts[type],
    contentType: 'application/cloudevents+json',
    key: isVm ? vmKey : noKey,
    payload: schemaOf(cloudEventOf(type)),
  };
}

function workMessage(name: 'question' | 'command', schema: z.ZodType, key: z.ZodType, summary: string): Message {
  const kind = z.literal(name).describe('The kind of the record.');
  const payload = z.strictObject({ kind, [name]: schema.describe(summary) });
  return { name, title: `A ${name}`, summary, key, headers: schemaOf(WorkHeaders), payload: schemaOf(payload) };
}

const ledgerHeaders: Json = {
  type: 'object',
  required: ['landfall'],
  properties: {
    landfall: {
      type: 'string',
      contentMediaType: 'application/json',
      description: 'All metadata of the record as JSON; `#/components/schemas/ledgerHeader` is its schema.',
    },
    origin: {
      type: 'string',
      description:
        'The sequence that the entry had in the file from which `landfall kafka import` read it; otherwise absent.',
    },
  },
};

const messages: Readonly<Record<ChannelName, readonly Message[]>> = {
  inputs: (Object.keys(inputSchemas) as InputType[]).map(inputMessage),
  commands: [
    workMessage('question', Question, text('The name of the host.'), 'A question about one VM to the agent of a host.'),
    workMessage(
      'command',
      Command,
      z.string().nullable().describe('The name of the host; no key for the orchestrator.'),
      'A command to the agent of a host, or to the orchestrator if `host` is null.',
    ),
  ],
  ledger: [
    {
      name: 'entry',
      title: 'An entry of the ledger',
      summary:
        'One input or fired timer and everything that followed from it. Written in transactions: read committed records only.',
      key: z.string().nullable().describe('The UUID of the VM; no key for an entry about the site.'),
      headers: ledgerHeaders,
      payload: schemaOf(Entry, 'output'),
    },
    {
      name: 'progress',
      title: 'Positions or a claim',
      summary:
        'A record without a value: input positions that were committed without an entry, or the mark of a new owner.',
      key: noKey,
      headers: ledgerHeaders,
      payload: { type: 'null', description: 'The record has no value.' },
    },
  ],
  deadLetters: [
    {
      name: 'dead-letter',
      title: 'A dead letter',
      summary:
        'An input that was refused or could not be read, or an outgoing record that was too large for its topic.',
      contentType: 'application/octet-stream',
      key: noKey,
      headers: schemaOf(LetterHeaders),
      payload: { type: 'string', description: 'The bytes of the original, or its first 64 KiB if it is larger.' },
    },
  ],
};

const idOf = ({ name }: Message): string => name.replaceAll('.', '-');

function componentOf({ key, contentType = 'application/json', ...message }: Message): Json {
  return {
    ...message,
    contentType,
    bindings: { kafka: { key: schemaOf(key), bindingVersion: KAFKA_BINDING } },
  };
}

function channelOf(name: ChannelName): Json {
  const wanted = wantedTopics(DEFAULTS).find(({ topic }) => topic === topics[name]);
  if (wanted === undefined) throw new Error(`no topic ${topics[name]}`);
  const { 'cleanup.policy': policy, ...numbers } = wanted.configs;
  return {
    address: topics[name],
    ...channelTexts[name],
    parameters: { prefix: { $ref: '#/components/parameters/prefix' } },
    messages: Object.fromEntries(
      messages[name].map((message) => [idOf(message), { $ref: `#/components/messages/${idOf(message)}` }]),
    ),
    bindings: {
      kafka: {
        topic: wanted.topic,
        partitions: wanted.partitions,
        replicas: DEFAULTS.replicationFactor,
        topicConfiguration: { 'cleanup.policy': [policy], ...topicConfiguration(numbers) },
        bindingVersion: KAFKA_BINDING,
      },
    },
  };
}

/** The settings that the Kafka binding of AsyncAPI knows. docs/kafka.md names the others. */
const BOUND_SETTINGS: ReadonlySet<string> = new Set(['retention.ms', 'retention.bytes', 'max.message.bytes']);

function topicConfiguration(configs: Readonly<Record<string, string>>): Json {
  const bound = Object.entries(configs).filter(([name]) => BOUND_SETTINGS.has(name));
  return Object.fromEntries(bound.map(([name, value]) => [name, Number(value)]));
}

/** An operation is described from the point of view of Landfall: `receive` reads a topic, `send` writes it. */
function operation(action: 'send' | 'receive', channel: ChannelName, summary: string, group?: string): Json {
  const bindings = { kafka: { groupId: { type: 'string', enum: [group] }, bindingVersion: KAFKA_BINDING } };
  return {
    action,
    channel: { $ref: `#/channels/${channel}` },
    summary,
    ...(group === undefined ? {} : { bindings }),
  };
}

/** Returns the text of docs/asyncapi.json. */
export function asyncApiText(): string {
  const names = Object.keys(messages) as ChannelName[];
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Landfall on Kafka',
      version: '1.0.0',
      description:
        'The topics of an installation of Landfall on Kafka. docs/kafka.md explains how instances use them, docs/inputs.md explains the inputs, and docs/agents.md explains what the receiver of a question or command must do.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(names.map((name) => [name, channelOf(name)])),
    operations: {
      receiveInputs: operation('receive', 'inputs', 'The owner of a partition decides its inputs.', groupOf(PREFIX)),
      sendInputs: operation(
        'send',
        'inputs',
        'Each instance sends the inputs that it gets over HTTP or from mapped topics.',
      ),
      sendEntries: operation(
        'send',
        'ledger',
        'The owner of a partition commits its entries, one transaction each batch.',
      ),
      receiveEntries: operation(
        'receive',
        'ledger',
        'Each instance reads the entries of all partitions into its replica.',
      ),
      sendWork: operation('send', 'commands', 'The owner of a partition sends questions and commands, at least once.'),
      sendDeadLetters: operation('send', 'deadLetters', 'The owner of a partition sends dead letters, at least once.'),
    },
    components: {
      parameters: {
        prefix: {
          description: 'The prefix of all topics of one installation: the setting `kafkaPrefix`.',
          default: 'landfall',
        },
      },
      schemas: { ledgerHeader: schemaOf(LedgerHeader) },
      messages: Object.fromEntries(
        names.flatMap((name) => messages[name]).map((message) => [idOf(message), componentOf(message)]),
      ),
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
