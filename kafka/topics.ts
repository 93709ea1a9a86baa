import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../events/fault.ts';
import { administer } from './client.ts';
import { topicsOf } from './options.ts';
import type { KafkaAdmin, KafkaClient, NewTopic } from './port.ts';
import { TOPIC_WAIT_MS, untilTopicsKnown } from './topic-metadata.ts';

/**
 * Creates the topics of a Landfall installation, and checks their partitions, replicas and settings before they are
 * used.
 */

export type TopicPlan = {
  readonly prefix: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
};

export type WantedTopic = {
  readonly topic: string;
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
};

type Admins = Pick<KafkaClient, 'admin'>;

/** The largest batch that one transaction may write to the ledger's topic. */
const LEDGER_MESSAGE_BYTES = 32 * 1024 * 1024;
/** An input has at most 1 MiB; the inputs of one HTTP request for one partition share a batch. */
const INPUT_MESSAGE_BYTES = 12 * 1024 * 1024;
/** Batches of commands and dead letters are smaller, except for a single record above the limit. */
const LEAVING_MESSAGE_BYTES = 4 * 1024 * 1024;
const LEADERS_MS = 30_000;
const LEADERS_LOOK_MS = 50;
const INPUT_DAYS = 14;
const COMMAND_DAYS = 7;
const LETTER_DAYS = 90;
const DAY_MS = 86_400_000;
/** With this many replicas, one may fail while two acknowledge. */
const SAFE_REPLICAS = 3;
const SAFE_IN_SYNC = 2;
const UNCLEAN = 'unclean.leader.election.enable';

/**
 * Creates the missing topics and checks the existing topics.
 * @throws Fault KAFKA_MISMATCH naming each difference, KAFKA_UNSAFE, KAFKA_FAILED naming each topic that was refused.
 */
export async function initTopics(kafka: Admins, plan: TopicPlan): Promise<{ made: string[]; present: string[] }> {
  requireSafe(plan);
  return administer(kafka, async (admin) => {
    const existing = new Set(await admin.topicNames());
    const [present, missing] = [[] as WantedTopic[], [] as WantedTopic[]];
    for (const wanted of wantedTopics(plan)) (existing.has(wanted.topic) ? present : missing).push(wanted);
    const differences = await untilTopicsKnown(() => differencesOf(admin, present, plan.replicationFactor));
    if (differences.length > 0) throw mismatch(differences);
    if (missing.length > 0) await createTopics(admin, missing, plan);
    return { made: missing.map(({ topic }) => topic), present: present.map(({ topic }) => topic) };
  });
}

async function createTopics(admin: KafkaAdmin, missing: readonly WantedTopic[], plan: TopicPlan): Promise<void> {
  const { replicationFactor } = plan;
  await admin.createTopics(missing.map((wanted): NewTopic => ({ ...wanted, replicationFactor })));
  await leadersElected(
    admin,
    missing.map(({ topic }) => topic),
  );
}

/** Resolves when every partition of the topics has a leader. @throws Fault KAFKA_FAILED. */
async function leadersElected(admin: KafkaAdmin, topics: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + LEADERS_MS; Date.now() < deadline; await wait(LEADERS_LOOK_MS)) {
    const found = await admin.layouts(topics).catch(() => []);
    const isLed = found.every(({ partitions }) => partitions.every(({ hasLeader }) => hasLeader));
    if (found.length === topics.length && isLed) return;
  }
  const message = `${topics.join(', ')}: created, but without leaders after ${LEADERS_MS / 1000} s`;
  throw new Fault('KAFKA_FAILED', message, 'See the logs of the brokers.');
}

/**
 * Checks the topics that a service needs.
 * @param waitMs how long to wait for topics that the brokers do not know yet.
 * @throws Fault KAFKA_NO_TOPIC, KAFKA_MISMATCH.
 */
export function requireTopics(kafka: Admins, prefix: string, waitMs = TOPIC_WAIT_MS): Promise<{ partitions: number }> {
  return administer(kafka, (admin) => untilTopicsKnown(() => checkTopics(admin, prefix), waitMs));
}

async function checkTopics(admin: KafkaAdmin, prefix: string): Promise<{ partitions: number }> {
  const { inputs, ledger, commands, deadLetters } = topicsOf(prefix);
  const found = await layoutsOf(admin, [inputs, ledger, commands, deadLetters]);
  const countOf = (topic: string) => found.get(topic)?.partitions ?? 0;
  const partitions = countOf(ledger);
  if (countOf(inputs) !== partitions) {
    throw mismatch([`${inputs} has ${countOf(inputs)} partition(s), ${ledger} has ${partitions}`]);
  }
  if (countOf(commands) < partitions) {
    throw mismatch([`${commands} has ${countOf(commands)} partition(s), ${ledger} has ${partitions}`]);
  }
  const safe = (wanted: WantedTopic) => withSafety(wanted, found.get(wanted.topic)?.replicas ?? 1);
  const differences = await configDifferences(admin, [
    safe(ledgerTopic(prefix, partitions)),
    safe(inputsTopic(prefix, partitions)),
    commandsTopic(prefix, countOf(commands)),
    deadLettersTopic(prefix),
  ]);
  if (differences.length > 0) throw mismatch(differences);
  return { partitions };
}

/** Returns the replication of a topic. @throws Fault KAFKA_NO_TOPIC. */
export async function replicationOf(
  kafka: Admins,
  topic: string,
): Promise<{ replicationFactor: number; minInsyncReplicas: number }> {
  const name = 'min.insync.replicas';
  return administer(kafka, (admin) =>
    untilTopicsKnown(async () => {
      const layout = await layoutsOf(admin, [topic]);
      const configs = await admin.configs([{ topic, names: [name] }]);
      const minInsyncReplicas = Number(configs.get(topic)?.get(name) ?? 1);
      return { replicationFactor: layout.get(topic)?.replicas ?? 1, minInsyncReplicas };
    }),
  );
}

type Layout = { readonly partitions: number; readonly replicas: number };

/** @throws Fault KAFKA_NO_TOPIC. */
async function layoutsOf(admin: KafkaAdmin, topics: readonly string[]): Promise<Map<string, Layout>> {
  const existing = new Set(await admin.topicNames());
  const missing = topics.filter((topic) => !existing.has(topic));
  if (missing.length > 0) {
    const remedy = 'Create the topics with `landfall kafka init`, and check kafkaPrefix.';
    throw new Fault('KAFKA_NO_TOPIC', `missing topics: ${missing.join(', ')}`, remedy);
  }
  const layouts = await admin.layouts(topics);
  return new Map(
    layouts.map(({ topic, partitions }) => {
      const replicas = Math.min(...partitions.map((each) => each.replicas));
      return [topic, { partitions: partitions.length, replicas }];
    }),
  );
}

/**
 * Returns the settings of the ledger topic, which keeps every record: no retention by time or size, and no compaction.
 */
function ledgerTopic(prefix: string, partitions: number): WantedTopic {
  const configs = {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'max.message.bytes': String(LEDGER_MESSAGE_BYTES),
    'message.timestamp.type': 'CreateTime',
  };
  return { topic: topicsOf(prefix).ledger, partitions, configs };
}

function inputsTopic(prefix: string, partitions: number): WantedTopic {
  const configs = {
    ...forDays(INPUT_DAYS),
    // Inputs are deleted by age only, whatever their size.
    'retention.bytes': '-1',
    'max.message.bytes': String(INPUT_MESSAGE_BYTES),
  };
  return { topic: topicsOf(prefix).inputs, partitions, configs };
}

function commandsTopic(prefix: string, partitions: number): WantedTopic {
  const configs = { ...forDays(COMMAND_DAYS), 'max.message.bytes': String(LEAVING_MESSAGE_BYTES) };
  return { topic: topicsOf(prefix).commands, partitions, configs };
}

function deadLettersTopic(prefix: string): WantedTopic {
  const configs = { ...forDays(LETTER_DAYS), 'max.message.bytes': String(LEAVING_MESSAGE_BYTES) };
  return { topic: topicsOf(prefix).deadLetters, partitions: 1, configs };
}

/** No compaction: Kafka rejects records without a key in a compacted topic. */
function forDays(count: number): WantedTopic['configs'] {
  return { 'cleanup.policy': 'delete', 'retention.ms': String(count * DAY_MS) };
}

/** With several replicas, an acknowledged record must survive the loss of one broker and every election. */
function withSafety(wanted: WantedTopic, replicas: number): WantedTopic {
  const copies = replicas < SAFE_REPLICAS ? {} : { 'min.insync.replicas': String(SAFE_IN_SYNC) };
  const elections = replicas < 2 ? {} : { [UNCLEAN]: 'false' };
  return { ...wanted, configs: { ...copies, ...elections, ...wanted.configs } };
}

function requireSafe({ replicationFactor, minInsyncReplicas }: TopicPlan): void {
  if (replicationFactor < SAFE_REPLICAS || minInsyncReplicas >= SAFE_IN_SYNC) return;
  throw new Fault(
    'KAFKA_UNSAFE',
    `with ${replicationFactor} replicas and min.insync.replicas ${minInsyncReplicas} a record that only one broker has may be lost`,
    `Set --min-insync-replicas to ${SAFE_IN_SYNC} or more.`,
  );
}

/** Returns the topics of an installation with their partitions and settings. */
export function wantedTopics({ prefix, partitions, minInsyncReplicas }: TopicPlan): WantedTopic[] {
  const durable = { 'min.insync.replicas': String(minInsyncReplicas) };
  const [inputs, ledger] = [inputsTopic(prefix, partitions), ledgerTopic(prefix, partitions)];
  const [commands, deadLetters] = [commandsTopic(prefix, partitions), deadLettersTopic(prefix)];
  return [
    { ...inputs, configs: { ...inputs.configs, ...durable } },
    { ...ledger, configs: { ...ledger.configs, ...durable } },
    { ...commands, configs: { ...commands.configs, ...durable } },
    { ...deadLetters, configs: { ...deadLetters.configs, ...durable } },
  ];
}

async function differencesOf(
  admin: KafkaAdmin,
  wanted: readonly WantedTopic[],
  replicationFactor: number,
): Promise<string[]> {
  if (wanted.length === 0) return [];
  const layouts = await admin.layouts(wanted.map(({ topic }) => topic));
  const differences: string[] = [];
  for (const { topic, partitions } of wanted) {
    const found = layouts.find((each) => each.topic === topic)?.partitions ?? [];
    if (found.length !== partitions) differences.push(`${topic} has ${found.length} partition(s), not ${partitions}`);
    const replicas = Math.min(...found.map((each) => each.replicas));
    if (replicas !== replicationFactor)
      differences.push(`${topic} has ${replicas} replica(s), not ${replicationFactor}`);
  }
  const safe = wanted.map((each) => withSafety(each, replicationFactor));
  return [...differences, ...(await configDifferences(admin, safe))];
}

async function configDifferences(admin: KafkaAdmin, wanted: readonly WantedTopic[]): Promise<string[]> {
  const found = await admin.configs(wanted.map(({ topic, configs }) => ({ topic, names: Object.keys(configs) })));
  return wanted.flatMap(({ topic, configs }) =>
    Object.entries(configs).flatMap(([name, value]) => {
      const is = found.get(topic)?.get(name);
      return isEnough(name, is, value) ? [] : [`${topic}: ${name} is ${is ?? 'not known'}, not ${value}`];
    }),
  );
}

/** Returns whether a setting is at least as large, safe or long as required. */
function isEnough(name: string, is: string | undefined, wanted: string): boolean {
  if (is === wanted) return true;
  // A broker without this setting has no unclean elections.
  if (is === undefined) return name === UNCLEAN;
  switch (name) {
    case 'max.message.bytes':
    case 'min.insync.replicas':
      return Number(is) >= Number(wanted);
    case 'retention.ms':
      return wanted !== '-1' && (Number(is) === -1 || Number(is) >= Number(wanted));
    default:
      return false;
  }
}

function mismatch(differences: readonly string[]): Fault {
  return new Fault(
    'KAFKA_MISMATCH',
    `the topics do not match what Landfall needs: ${differences.join('; ')}`,
    'Change the settings (kafka-configs.sh) or use another --kafka-prefix; partitions cannot be changed in place.',
  );
}
