import { Fault, messageOf } from '../events/fault.ts';

/** Turns errors of the Kafka client into faults with a code and a remedy. */

/** A newer producer has the transactional id; the older producer can never commit again. */
const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING']);
/** The error code of PRODUCER_FENCED, because kafkajs does not know its name. */
const PRODUCER_FENCED_CODE = 90;
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
const UNKNOWN_TOPIC = 'UNKNOWN_TOPIC_OR_PARTITION';
/** Errors of a topic that a broker does not know yet, or that has no leader yet. */
const TOPIC_NOT_READY = new Set([UNKNOWN_TOPIC, 'LEADER_NOT_AVAILABLE']);
const BAD_REPLICATION = 'INVALID_REPLICATION_FACTOR';
/** Errors that pass on their own: the previous transaction is still being ended, or a coordinator is moving. */
const TRANSIENT: ReadonlySet<string> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
]);

type KafkaError = Error & { readonly type?: unknown; readonly code?: unknown; readonly topic?: unknown };

/** Yields an error, the errors that it wraps, and the errors that it collects. */
function* causesOf(error: unknown): Generator<KafkaError> {
  if (!(error instanceof Error)) return;
  yield error;
  if ('originalError' in error) yield* causesOf(error.originalError);
  if ('errors' in error && Array.isArray(error.errors)) for (const each of error.errors) yield* causesOf(each);
  yield* causesOf(error.cause);
}

const typesOf = (error: unknown): string[] => [...causesOf(error)].map(({ type }) => String(type));

export function isFenced(error: unknown): boolean {
  return [...causesOf(error)].some(({ type, code }) => FENCED.has(String(type)) || code === PRODUCER_FENCED_CODE);
}

export function isTransient(error: unknown): boolean {
  return typesOf(error).some((type) => TRANSIENT.has(type));
}

/**
 * Returns whether a broker does not know a topic or its leader, which is normal for a moment after the creation of a
 * topic.
 */
export function isTopicUnknown(error: unknown): boolean {
  if (error instanceof Fault && error.code === 'KAFKA_NO_TOPIC') return true;
  return typesOf(error).some((type) => TOPIC_NOT_READY.has(type));
}

/** Returns the fault for an error of the client. A fault is returned unchanged. */
export function kafkaFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const types = typesOf(error);
  const message = reasonsIn(error);
  const isDenied = types.some((type) => DENIED.has(type)) || [...causesOf(error)].some(({ name }) => /SASL/.test(name));
  if (isDenied) {
    const remedy = 'Check kafkaSasl, kafkaUsername, the password and the ACLs.';
    return new Fault('KAFKA_DENIED', `the brokers refused access: ${message}`, remedy, error);
  }
  if (types.some((type) => TOO_FEW_REPLICAS.has(type))) {
    const remedy = 'Start the missing brokers; nothing was lost.';
    return new Fault('KAFKA_TOO_FEW_REPLICAS', `too few replicas are in sync: ${message}`, remedy, error);
  }
  if (types.includes(UNKNOWN_TOPIC)) {
    const remedy = 'Create the topics with `landfall kafka init`, and check kafkaPrefix.';
    return new Fault('KAFKA_NO_TOPIC', `a topic is missing: ${message}`, remedy, error);
  }
  if (types.some((type) => TOO_LARGE.has(type))) {
    const remedy = 'Raise max.message.bytes of the topic (docs/kafka.md).';
    return new Fault('KAFKA_TOO_LARGE', `a record is larger than its topic allows: ${message}`, remedy, error);
  }
  if (types.includes(BAD_REPLICATION)) {
    const remedy =
      'Start more brokers, or lower --replication-factor and --min-insync-replicas (both 1 for a single broker).';
    return new Fault('KAFKA_FAILED', message, remedy, error);
  }
  // This check is the last one, because OpenSSL errors can only be recognised by their text.
  if (/certificate|SSL routines|tls alert/i.test(message)) {
    const remedy = 'Check kafkaTls, kafkaCa, kafkaCert and kafkaKey, and the names in the brokers’ certificates.';
    return new Fault('KAFKA_TLS', `the TLS connection to the brokers failed: ${message}`, remedy, error);
  }
  const remedy = 'Check kafkaBrokers, kafkaTls and the network, and that the brokers run.';
  return new Fault('KAFKA_FAILED', `Kafka: ${message}`, remedy, error);
}

/** Returns the reasons behind an error; each reason of a collection of errors names its topic. */
function reasonsIn(error: unknown): string {
  const causes = [...causesOf(error)];
  const perTopic = causes.filter(({ topic }) => typeof topic === 'string');
  if (perTopic.length === 0) return messageOf(causes.at(-1) ?? error);
  const lines = perTopic.map(({ topic, message }) => `${String(topic)}: ${message.replace(/\.$/, '')}`);
  return [...new Set(lines)].join('; ');
}

/**
 * Returns the fault for a send without an answer: a broker with too few replicas in sync may neither accept nor reject
 * a send.
 */
export function unacknowledged(topic: string, ms: number): Fault {
  const message = `${topic} acknowledged nothing for ${Math.round(ms / 1000)} s`;
  const remedy = 'Check that the brokers run and that enough replicas of the topic are in sync.';
  return new Fault('KAFKA_UNACKNOWLEDGED', message, remedy);
}

export function fencedBy(cause: unknown): Fault {
  const message = 'a transaction was rejected because another owner has claimed the partition';
  return new Fault('LEDGER_FENCED', message, 'Claim the partition again.', cause);
}

export function outcomeUnknown(cause: unknown): Fault {
  const message = `a transaction failed, and the brokers did not say if it was committed: ${messageOf(cause)}`;
  return new Fault('LEDGER_OUTCOME_UNKNOWN', message, 'Claim the partition again and read its tail.', cause);
}

export function notCommitted(cause: unknown): Fault {
  const { message, remedy } = kafkaFault(cause);
  return new Fault('LEDGER_FAILED', `nothing was committed: ${message}`, remedy, cause);
}
