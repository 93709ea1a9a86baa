import type { Input } from '../../events/inputs.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { partitionsOf } from '../../kafka/partitioner.ts';
import type { RecordProducer } from '../../kafka/record-producer.ts';

/**
 * Sends inputs to the topic of inputs, for programs that own no partition. An input goes to the partition of its VM, or to all
 * partitions if it concerns the site. Each round of sends is acknowledged before the next begins, so a repeated run after a failed
 * round keeps the order.
 */

type InputSenderOptions = {
  readonly producer: RecordProducer;
  readonly topic: string;
  readonly partitions: number;
};

/** The limits of one round, which is at most one batch per partition. */
const ROUND_INPUTS = 1000;
const ROUND_BYTES = 900_000;
/** The size of a record without its value, at most. */
const RECORD_BYTES = 200;

export class InputSender {
  readonly #options: InputSenderOptions;
  #batches = new Map<number, NewRecord[]>();
  #queued = 0;
  #bytes = 0;
  /** The number of durable inputs. */
  sent = 0;

  constructor(options: InputSenderOptions) {
    this.#options = options;
  }

  /** Queues an input, which is durable once `flush` resolves. @throws Fault KAFKA_…: the queued inputs may be in the topic. */
  async take({ vm }: Input, text: string): Promise<void> {
    const bytes = Buffer.byteLength(text) + RECORD_BYTES;
    if (this.#queued === ROUND_INPUTS || this.#bytes + bytes > ROUND_BYTES) await this.flush();
    const { partitions } = this.#options;
    for (const partition of partitionsOf(vm, partitions)) {
      const batch = this.#batches.get(partition) ?? [];
      batch.push({ key: vm, value: text });
      this.#batches.set(partition, batch);
    }
    this.#queued += 1;
    this.#bytes += bytes;
  }

  async flush(): Promise<void> {
    const { producer, topic } = this.#options;
    const [batches, count] = [this.#batches, this.#queued];
    this.#batches = new Map();
    this.#queued = 0;
    this.#bytes = 0;
    const sends = [...batches].map(([partition, messages]) => producer.send(topic, partition, messages));
    const outcomes = await Promise.allSettled(sends);
    const failed = outcomes.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    this.sent += count;
  }
}
