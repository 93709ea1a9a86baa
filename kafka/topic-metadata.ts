import { setTimeout as wait } from 'node:timers/promises';
import { isTopicUnknown, kafkaFault } from './faults.ts';

/**
 * The brokers learn of a new topic one after the other, so requests about an unknown topic are repeated for this time.
 */
export const TOPIC_WAIT_MS = 15_000;

const REPEAT_MS = 100;

/**
 * Repeats `ask` while the brokers answer that they do not know a topic or its leader.
 * @throws Fault KAFKA_NO_TOPIC after `waitMs`, or at once the fault of any other error.
 */
export async function untilTopicsKnown<T>(ask: () => Promise<T>, waitMs = TOPIC_WAIT_MS): Promise<T> {
  for (const deadline = Date.now() + waitMs; ; await wait(REPEAT_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!isTopicUnknown(error) || Date.now() >= deadline) throw kafkaFault(error);
    }
  }
}
