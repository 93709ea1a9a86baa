import type { Kafka } from 'kafkajs';
import { setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../../events/fault.ts';
import { administer } from '../../kafka/client.ts';
import type { Replica } from './replica.ts';
import { TRANSACTION_TIMEOUT_MS } from '../../kafka/transactor.ts';

/** Whether a topic is the one that was copied, as far as its ends tell. */

const LOOK_MS = 500;
/** Beyond this no transaction is left open. */
const SETTLE_MS = TRANSACTION_TIMEOUT_MS + 10_000;

type Copied = Pick<Replica, 'partition' | 'offset'>;

/**
 * An offset beyond the topic's ends would be reset without a word. The end that brokers tell is that of the settled
 * transactions: after a crash of theirs it may stand before what was committed, until they have caught up.
 * @throws Fault LEDGER_ALTERED, KAFKA_….
 */
export async function verifyTopicIdentity(kafka: Kafka, topic: string, replicas: readonly Copied[]): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const beyond = await beyondEnd(kafka, topic, replicas);
    if (beyond === null) return;
    if (Date.now() >= deadline) throw mismatch(beyond);
    await wait(LOOK_MS);
  }
}

/** @returns which copy has more than the topic; null: none. @throws Fault LEDGER_ALTERED where waiting does not help. */
async function beyondEnd(kafka: Kafka, topic: string, replicas: readonly Copied[]): Promise<string | null> {
  const ends = await administer(kafka, (admin) => admin.fetchTopicOffsets(topic));
  let beyond: string | null = null;
  for (const { partition, offset } of replicas) {
    const end = ends.find((each) => each.partition === partition);
    if (end === undefined) throw mismatch(`${topic} has no partition ${partition}`);
    const [low, high] = [Number(end.low), Number(end.high)];
    if (offset === null ? low > 0 : offset < low) throw mismatch(`${topic}/${partition} begins at ${low} only`);
    if (offset !== null && offset >= high) beyond ??= `${topic}/${partition} ends at ${high}`;
  }
  return beyond;
}

function mismatch(what: string): Fault {
  return new Fault(
    'LEDGER_ALTERED',
    `the topic is not the one that was copied: ${what}`,
    'Check kafkaPrefix and the retention of the topic; where the topic is right, `landfall rebuild` fetches the copy anew.',
  );
}
