import { setTimeout as wait } from 'node:timers/promises';
import type { Admin, ITopicConfig, Kafka } from 'kafkajs';
import { Fault } from '../events/fault.ts';
import { administer } from './client.ts';
import { topicsOf } from './options.ts';

/** The topics: made by `init`, and checked before anything is read from them or written. */

export type TopicPlan = {
  readonly prefix: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
};

type Wanted = {
  readonly topic: string;
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
};

/** The largest batch of one transaction that the ledger's topic takes: records of one send are one batch. */
const LEDGER_MESSAGE_BYTES = 32 * 1024 * 1024;
/** An input is at most a MiB; HTTP batches are sent one partition at a time. */
const INPUT_MESSAGE_BYTES = 12 * 1024 * 1024;
/** Sends of commands and dead letters are smaller, unless one item alone is not. */
const LEAVING_MESSAGE_BYTES = 4 * 1024 * 1024;
const LEADERS_MS = 30_000;
const LEADERS_LOOK_MS = 50;
const INPUT_DAYS = 14;
const COMMAND_DAYS = 7;
const LETTER_DAYS = 90;
const DAY_MS = 86_400_000;
/** From this many on, one may be missing while two others acknowledge. */
const SAFE_REPLICAS = 3;
const SAFE_IN_SYNC = 2;
const UNCLEAN = 'unclean.leader.election.enable';
/** kafkajs's ConfigResourceTypes.TOPIC, which an ES module cannot import by its name. */
const CONFIG_OF_TOPIC = 2;

/**
 * @returns what was made, and what was there already.
 * @throws Fault KAFKA_MISMATCH naming each difference, KAFKA_UNSAFE.
 */
export async function initTopics(kafka: Kafka, plan: TopicPlan): Promise<{ made: string[]; present: string[] }> {
  requireSafe(plan);
  return administer(kafka, async (admin) => {
    const existing = new Set(await admin.listTopics());
    const [present, missing] = [[] as Wanted[], [] as Wanted[]];
    for (const wanted of wantedTopics(plan)) (existing.has(wanted.topic) ? present : missing).push(wanted);
    const differences = await differencesOf(kafka, present, plan.replicationFactor);
    if (differences.length > 0) throw mismatch(differences);
    if (missing.length > 0) {
      await admin.createTopics({ waitForLeaders: false, topics: missing.map((each) => configOf(each, plan)) });
      await allLed(
        admin,
        missing.map(({ topic }) => topic),
      );
    }
    return { made: missing.map(({ topic }) => topic), present: present.map(({ topic }) => topic) };
  });
}

/** kafkajs can wait for leaders too, but ends in an error where a broker has not heard of a topic yet. @throws Fault KAFKA_FAILED. */
async function allLed(admin: Admin, topics: string[]): Promise<void> {
  for (const deadline = Date.now() + LEADERS_MS; Date.now() < deadline; await wait(LEADERS_LOOK_MS)) {
    const found = await admin.fetchTopicMetadata({ topics }).catch(() => ({ topics: [] }));
    const isLed = found.topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
    if (found.topics.length === topics.length && isLed) return;
  }
  throw new Fault('KAFKA_FAILED', `${topics.join(', ')}: made, but without leaders`, 'Look at the log of the brokers.');
}

/** What a service needs of the topics, whoever made them. @throws Fault KAFKA_NO_TOPIC, KAFKA_MISMATCH. */
export async function requireTopics(kafka: Kafka, prefix: string): Promise<{ partitions: number }> {
  const { inputs, ledger, commands, deadLetters } = topicsOf(prefix);
  const found = await layoutOf(kafka, [inputs, ledger, commands, deadLetters]);
  const countOf = (topic: string) => found.get(topic)?.partitions ?? 0;
  const partitions = countOf(ledger);
  if (countOf(inputs) !== partitions) {
    throw mismatch([`${inputs} has ${countOf(inputs)} partition(s), ${ledger} has ${partitions}`]);
  }
  if (countOf(commands) < partitions) {
    throw mismatch([`${commands} has ${countOf(commands)} partition(s), ${ledger} has ${partitions}`]);
  }
  const safe = (wanted: Wanted) => withSafety(wanted, found.get(wanted.topic)?.replicas ?? 1);
  const differences = await configDifferences(kafka, [
    safe(ledgerTopic(prefix, partitions)),
    safe(inputsTopic(prefix, partitions)),
    commandsTopic(prefix, countOf(commands)),
    deadLettersTopic(prefix),
  ]);
  if (differences.length > 0) throw mismatch(differences);
  return { partitions };
}

/** How a topic is replicated. @throws Fault KAFKA_NO_TOPIC. */
export async function replicationOf(
  kafka: Kafka,
  topic: string,
): Promise<{ replicationFactor: number; minInsyncReplicas: number }> {
  const layout = await layoutOf(kafka, [topic]);
  const name = 'min.insync.replicas';
  const resources = [{ type: CONFIG_OF_TOPIC, name: topic, configNames: [name] }];
  const described = await administer(kafka, (admin) => admin.describeConfigs({ resources, includeSynonyms: false }));
  const found = described.resources[0]?.configEntries.find(({ configName }) => configName === name)?.configValue;
  return { replicationFactor: layout.get(topic)?.replicas ?? 1, minInsyncReplicas: Number(found ?? 1) };
}

type Layout = { readonly partitions: number; readonly replicas: number };

/** @throws Fault KAFKA_NO_TOPIC. */
async function layoutOf(kafka: Kafka, topics: readonly string[]): Promise<Map<string, Layout>> {
  const { existing, found } = await administer(kafka, async (admin) => {
    const names = new Set(await admin.listTopics());
    const wanted = topics.filter((topic) => names.has(topic));
    return { existing: names, found: await admin.fetchTopicMetadata({ topics: wanted }) };
  });
  const missing = topics.filter((topic) => !existing.has(topic));
  if (missing.length > 0) {
    const remedy = '`landfall kafka init` makes them; check kafkaPrefix.';
    throw new Fault('KAFKA_NO_TOPIC', `there is no topic ${missing.join(', ')}`, remedy);
  }
  return new Map(
    found.topics.map(({ name, partitions }) => {
      const replicas = Math.min(...partitions.map((each) => each.replicas.length));
      return [name, { partitions: partitions.length, replicas }];
    }),
  );
}

/** A ledger is never thinned out: neither by time, nor by size, nor by key. */
function ledgerTopic(prefix: string, partitions: number): Wanted {
  const configs = {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'max.message.bytes': String(LEDGER_MESSAGE_BYTES),
    'message.timestamp.type': 'CreateTime',
  };
  return { topic: topicsOf(prefix).ledger, partitions, configs };
}

function inputsTopic(prefix: string, partitions: number): Wanted {
  const configs = {
    ...forDays(INPUT_DAYS),
    // What was acknowledged is deleted by its age alone, however much there is of it.
    'retention.bytes': '-1',
    'max.message.bytes': String(INPUT_MESSAGE_BYTES),
  };
  return { topic: topicsOf(prefix).inputs, partitions, configs };
}

function commandsTopic(prefix: string, partitions: number): Wanted {
  const configs = { ...forDays(COMMAND_DAYS), 'max.message.bytes': String(LEAVING_MESSAGE_BYTES) };
  return { topic: topicsOf(prefix).commands, partitions, configs };
}

function deadLettersTopic(prefix: string): Wanted {
  const configs = { ...forDays(LETTER_DAYS), 'max.message.bytes': String(LEAVING_MESSAGE_BYTES) };
  return { topic: topicsOf(prefix).deadLetters, partitions: 1, configs };
}

/** Not by key: some records have none, and Kafka would refuse them. */
function forDays(count: number): Wanted['configs'] {
  return { 'cleanup.policy': 'delete', 'retention.ms': String(count * DAY_MS) };
}

/** Where there are brokers enough, nothing that was acknowledged may be on one of them alone, or be left behind by an election. */
function withSafety(wanted: Wanted, replicas: number): Wanted {
  const copies = replicas < SAFE_REPLICAS ? {} : { 'min.insync.replicas': String(SAFE_IN_SYNC) };
  const elections = replicas < 2 ? {} : { [UNCLEAN]: 'false' };
  return { ...wanted, configs: { ...copies, ...elections, ...wanted.configs } };
}

function requireSafe({ replicationFactor, minInsyncReplicas }: TopicPlan): void {
  if (replicationFactor < SAFE_REPLICAS || minInsyncReplicas >= SAFE_IN_SYNC) return;
  throw new Fault(
    'KAFKA_UNSAFE',
    `with ${replicationFactor} replicas and min.insync.replicas ${minInsyncReplicas} what one broker alone acknowledged may be lost`,
    `Give --min-insync-replicas ${SAFE_IN_SYNC} or more.`,
  );
}

function wantedTopics({ prefix, partitions, minInsyncReplicas }: TopicPlan): Wanted[] {
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

function configOf({ topic, partitions, configs }: Wanted, { replicationFactor }: TopicPlan): ITopicConfig {
  return {
    topic,
    numPartitions: partitions,
    replicationFactor,
    configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
  };
}

async function differencesOf(kafka: Kafka, wanted: readonly Wanted[], replicationFactor: number): Promise<string[]> {
  if (wanted.length === 0) return [];
  const topics = wanted.map(({ topic }) => topic);
  const metadata = await administer(kafka, (admin) => admin.fetchTopicMetadata({ topics }));
  const differences: string[] = [];
  for (const { topic, partitions } of wanted) {
    const found = metadata.topics.find(({ name }) => name === topic)?.partitions ?? [];
    if (found.length !== partitions) differences.push(`${topic} has ${found.length} partition(s), not ${partitions}`);
    const replicas = Math.min(...found.map((each) => each.replicas.length));
    if (replicas !== replicationFactor)
      differences.push(`${topic} has ${replicas} replica(s), not ${replicationFactor}`);
  }
  const safe = wanted.map((each) => withSafety(each, replicationFactor));
  return [...differences, ...(await configDifferences(kafka, safe))];
}

async function configDifferences(kafka: Kafka, wanted: readonly Wanted[]): Promise<string[]> {
  const resources = wanted.map(({ topic, configs }) => ({
    type: CONFIG_OF_TOPIC,
    name: topic,
    configNames: Object.keys(configs),
  }));
  const described = await administer(kafka, (admin) => admin.describeConfigs({ resources, includeSynonyms: false }));
  return wanted.flatMap(({ topic, configs }) => {
    const entries = described.resources.find(({ resourceName }) => resourceName === topic)?.configEntries ?? [];
    const found = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
    return Object.entries(configs).flatMap(([name, value]) => {
      const is = found.get(name);
      return isEnough(name, is, value) ? [] : [`${topic}: ${name} is ${is ?? 'not known'}, not ${value}`];
    });
  });
}

/** More room, more safety or a longer memory than asked for is no mismatch. */
function isEnough(name: string, is: string | undefined, wanted: string): boolean {
  if (is === wanted) return true;
  // Some brokers have no such setting, and no such elections.
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
    `the topics are not as they must be: ${differences.join('; ')}`,
    'Change them (kafka-configs.sh), or use another --kafka-prefix; partitions cannot be changed in place.',
  );
}
