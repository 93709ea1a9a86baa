import type { Input } from '../../events/inputs.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { partitionsOf } from '../../kafka/partitioner.ts';
import type { RecordProducer } from '../../kafka/record-producer.ts';

/**
 * Puts inputs into the topic of inputs for programs that own no partition. Each goes to its VM's partition; what concerns the
 * site goes to all. One round of sends is acknowledged before the next begins, so that what follows a failed one is not sent:
 * repeated from its beginning, everything comes in its order.
 */

type InputSenderOptions = {
  readonly producer: RecordProducer;
  readonly topic: string;
  readonly partitions: number;
};

/** One round is at most one batch to each partition. */
const ROUND_INPUTS = 1000;
const ROUND_BYTES = 900_000;
/** What a record takes beside its value, at most. */
const RECORD_BYTES = 200;

export class InputSender {
  readonly #options: InputSenderOptions;
  #parcels = new Map<number, NewRecord[]>();
  #waiting = 0;
  #bytes = 0;
  /** Inputs that are durable. */
  sent = 0;

  constructor(options: InputSenderOptions) {
    this.#options = options;
  }

  /** It is durable once `flush` has resolved. @throws Fault KAFKA_…: what was taken since the last flush may be in the topic. */
  async take({ vm }: Input, text: string): Promise<void> {
    const bytes = Buffer.byteLength(text) + RECORD_BYTES;
    if (this.#waiting === ROUND_INPUTS || this.#bytes + bytes > ROUND_BYTES) await this.flush();
    const { partitions } = this.#options;
    for (const partition of partitionsOf(vm, partitions)) {
      const parcel = this.#parcels.get(partition) ?? [];
      parcel.push({ key: vm, value: text });
      this.#parcels.set(partition, parcel);
    }
    this.#waiting += 1;
    this.#bytes += bytes;
  }

  async flush(): Promise<void> {
    const { producer, topic } = this.#options;
    const [parcels, count] = [this.#parcels, this.#waiting];
    this.#parcels = new Map();
    this.#waiting = 0;
    this.#bytes = 0;
    const sends = [...parcels].map(([partition, messages]) => producer.send(topic, partition, messages));
    const outcomes = await Promise.allSettled(sends);
    const failed = outcomes.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    this.sent += count;
  }
}
