import { Fault, messageOf } from '../events/fault.ts';

/** What errors of Kafka mean here. */

/** A newer producer has the transactional id: this one may never commit again. */
const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING']);
const DENIED = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'ILLEGAL_SASL_STATE',
  'UNSUPPORTED_SASL_MECHANISM',
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);
const TOO_FEW_REPLICAS = new Set(['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND']);
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/** Codes that came after kafkajs: it knows their number only. 90 is PRODUCER_FENCED. */
const PRODUCER_FENCED_CODE = 90;

/** An error of kafkajs, and what it was caused by. */
function* causesOf(error: unknown): Generator<Error & { type?: unknown; code?: unknown }> {
  for (let each = error; each instanceof Error; each = each.cause ?? original(each)) yield each;
}

function original(error: Error): unknown {
  return 'originalError' in error ? error.originalError : undefined;
}

export function isFenced(error: unknown): boolean {
  return [...causesOf(error)].some(({ type, code }) => FENCED.has(String(type)) || code === PRODUCER_FENCED_CODE);
}

/** What passes by itself: the brokers are still ending the transaction before, or a coordinator is moving. */
const PASSING: ReadonlySet<string> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
]);

export function isPassing(error: unknown): boolean {
  return [...causesOf(error)].some(({ type }) => PASSING.has(String(type)));
}

/** An error of Kafka in words. */
export function kafkaFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const causes = [...causesOf(error)];
  const types = causes.map(({ type }) => String(type));
  const message = messageOf(causes.at(-1) ?? error);
  const isDenied = types.some((type) => DENIED.has(type)) || causes.some(({ name }) => /SASL/.test(name));
  if (isDenied) {
    return new Fault('KAFKA_DENIED', `the brokers refuse us: ${message}`, 'Check kafkaSasl… and the ACLs.', error);
  }
  if (types.some((type) => TOO_FEW_REPLICAS.has(type))) {
    const remedy = 'Bring the missing brokers back; nothing was lost.';
    return new Fault('KAFKA_TOO_FEW_REPLICAS', `too few replicas are in sync: ${message}`, remedy, error);
  }
  if (types.includes('UNKNOWN_TOPIC_OR_PARTITION')) {
    const remedy = '`landfall kafka init` makes the topics; check kafkaPrefix.';
    return new Fault('KAFKA_NO_TOPIC', `a topic is missing: ${message}`, remedy, error);
  }
  if (types.some((type) => TOO_LARGE.has(type))) {
    const remedy = 'Raise max.message.bytes of the topic (docs/kafka.md).';
    return new Fault('KAFKA_TOO_LARGE', `it is larger than its topic takes: ${message}`, remedy, error);
  }
  // Last, since it goes by words: the client hands on those of OpenSSL only.
  if (/certificate|SSL routines|tls alert/i.test(message)) {
    const remedy = 'Check kafkaTls, kafkaCa, kafkaCert and kafkaKey, and the names in the brokers’ certificates.';
    return new Fault('KAFKA_TLS', `no TLS with the brokers: ${message}`, remedy, error);
  }
  const remedy = 'Check kafkaBrokers, kafkaTls, the network, and that the brokers run; it is tried again.';
  return new Fault('KAFKA_FAILED', `Kafka: ${message}`, remedy, error);
}

/** Where too few replicas are in sync a broker may know nothing of it, and neither take nor refuse what it is sent. */
export function unacknowledged(topic: string, ms: number): Fault {
  const message = `${topic} did not acknowledge anything for ${Math.round(ms / 1000)} s`;
  const remedy = 'Check that the brokers run, and that enough replicas of the topic are in sync; it is tried again.';
  return new Fault('KAFKA_UNACKNOWLEDGED', message, remedy);
}

export function fencedBy(cause: unknown): Fault {
  const message = 'a transaction was refused: another owner has claimed the partition since';
  return new Fault('LEDGER_FENCED', message, 'Claim it anew.', cause);
}

export function outcomeUnknown(cause: unknown): Fault {
  const message = `a transaction failed in a way that does not tell whether it was committed: ${messageOf(cause)}`;
  return new Fault('LEDGER_OUTCOME_UNKNOWN', message, 'Claim the partition anew: its tail tells.', cause);
}

export function notCommitted(cause: unknown): Fault {
  const { message, remedy } = kafkaFault(cause);
  return new Fault('LEDGER_FAILED', `nothing was committed: ${message}`, remedy, cause);
}
