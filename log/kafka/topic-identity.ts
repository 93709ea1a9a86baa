import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../../events/fault.ts';
import type { KafkaClient } from '../../kafka/port.ts';
import { offsetRanges } from '../../kafka/topic-ends.ts';
import { TRANSACTION_TIMEOUT_MS } from '../../kafka/transactor.ts';
import type { Replica } from './replica.ts';

const LOOK_MS = 500;
/** After this time no transaction of an earlier owner is open. */
const SETTLE_MS = TRANSACTION_TIMEOUT_MS + 10_000;

type Replicated = Pick<Replica, 'partition' | 'offset'>;

/**
 * Checks that the offset of each replica is within the range of the topic; a consumer would silently reset an offset outside of
 * it. Brokers report the end of the settled transactions, which may lag behind a commit after a crash, so the check is repeated.
 * @throws Fault LEDGER_ALTERED, KAFKA_….
 */
export async function verifyTopicIdentity(
  kafka: Pick<KafkaClient, 'admin'>,
  topic: string,
  replicas: readonly Replicated[],
): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const beyond = await replicaBeyondEnd(kafka, topic, replicas);
    if (beyond === null) return;
    if (Date.now() >= deadline) throw mismatch(beyond);
    await wait(LOOK_MS);
  }
}

/**
 * @returns a description of the partition whose replica holds more than the topic; null if there is none. @throws Fault
 * LEDGER_ALTERED.
 */
async function replicaBeyondEnd(
  kafka: Pick<KafkaClient, 'admin'>,
  topic: string,
  replicas: readonly Replicated[],
): Promise<string | null> {
  const ranges = await offsetRanges(kafka, topic);
  let beyond: string | null = null;
  for (const { partition, offset } of replicas) {
    const range = ranges.get(partition);
    if (range === undefined) throw mismatch(`${topic} has no partition ${partition}`);
    const { low, high } = range;
    if (offset === null ? low > 0 : offset < low) throw mismatch(`${topic}/${partition} begins at ${low}`);
    if (offset !== null && offset >= high) beyond ??= `${topic}/${partition} ends at ${high}`;
  }
  return beyond;
}

function mismatch(what: string): Fault {
  return new Fault(
    'LEDGER_ALTERED',
    `the topic is not the one that was replicated: ${what}`,
    'Check kafkaPrefix and the retention of the topic; if the topic is right, run `landfall rebuild` to fetch the replica again.',
  );
}
