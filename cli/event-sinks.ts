import type { EventOfLine } from '../consumers/event-lines.ts';
import { connectTo } from '../kafka/client.ts';
import { topicsOf } from '../kafka/options.ts';
import { requireTopics } from '../kafka/topics.ts';
import { recordOfLetter } from '../producers/dead-letters.ts';
import { InputSender } from '../producers/kafka/input-sender.ts';
import { RecordProducer } from '../kafka/record-producer.ts';
import type { KafkaAccess } from '../service/kafka-access.ts';
import type { Remote } from './remote.ts';
import type { Counts, EventSink, OnRefused } from './event-upload.ts';

/** Sinks of `landfall ingest` other than a ledger file: the inputs topic and a running service. */

/** Runs `work` with a sink that writes to the inputs topic. @throws Fault KAFKA_…. */
export async function withTopicSink<T>(access: KafkaAccess, work: (sink: EventSink) => Promise<T>): Promise<T> {
  const kafka = connectTo({ ...access, clientId: `${access.clientId}.ingest` });
  const { partitions } = await requireTopics(kafka, access.prefix);
  const { inputs, deadLetters } = topicsOf(access.prefix);
  const producer = new RecordProducer(kafka);
  const sender = new InputSender({ producer, topic: inputs, partitions });
  try {
    return await work({
      get counts() {
        return { ...noCounts(), sent: sender.sent };
      },
      kept: `the topic ${deadLetters} keeps all of them`,
      add: ({ input, line }) => sender.take(input, line.text),
      deadLetter: async (letter) => {
        await producer.send(deadLetters, 0, [recordOfLetter(letter)]);
      },
      flush: () => sender.flush(),
    });
  } finally {
    await producer.close();
  }
}

const noCounts = (): Counts => ({ sent: 0, consumed: 0, duplicates: 0, refused: 0 });

/** The service accepts at most 1,000 events and 8 MiB per request; batches stay below both limits. */
const BATCH_EVENTS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;

type BatchedEvent = EventOfLine & { readonly name: string };

/** Sends events to a running service, which decides them. */
export class ServerSink implements EventSink {
  readonly kept = 'use --dead-letters FILE to keep all of them';
  readonly #remote: Remote;
  readonly #counts = noCounts();
  #batch: BatchedEvent[] = [];
  #bytes = 0;

  constructor(remote: Remote) {
    this.#remote = remote;
  }

  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  async add(event: EventOfLine, name: string, onRefused: OnRefused): Promise<void> {
    const { bytes } = event.line;
    if (this.#batch.length === BATCH_EVENTS || this.#bytes + bytes > BATCH_BYTES) await this.flush(onRefused);
    this.#batch.push({ ...event, name });
    this.#bytes += bytes;
  }

  /** The service cannot store unreadable lines, so this method keeps nothing. */
  deadLetter(): Promise<void> {
    return Promise.resolve();
  }

  async flush(onRefused: OnRefused): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#bytes = 0;
    const outcomes = await this.#remote.events(batch.map(({ value }) => value));
    for (const [index, { duplicate, pending, refusal }] of outcomes.entries()) {
      const event = batch[index];
      if (refusal !== null) this.#counts.refused += 1;
      else if (pending !== undefined) this.#counts.sent += 1;
      else if (duplicate) this.#counts.duplicates += 1;
      else this.#counts.consumed += 1;
      if (refusal !== null && event !== undefined) onRefused(event, refusal);
    }
  }
}
