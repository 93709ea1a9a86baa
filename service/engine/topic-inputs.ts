import { setTimeout as wait } from 'node:timers/promises';
import type { Decision, DecisionTracker } from '../../consumers/kafka/decision-tracker.ts';
import type { Fault } from '../../events/fault.ts';
import type { KafkaLedger } from '../../log/kafka/ledger.ts';
import { streamOf } from '../../kafka/options.ts';
import type { NewRecord } from '../../kafka/port.ts';
import { partitionsOf } from '../../kafka/partitioner.ts';
import type { RecordProducer } from '../../kafka/record-producer.ts';
import { notReady, type Receipt, type Submission } from './engine.ts';
import { type Outcome, receiptOf, unsent } from './outcomes.ts';

/** Sends an instance's inputs to their topic and waits for the decisions of the partitions' owners. */

export type TopicInputsOptions = {
  readonly ledger: Pick<KafkaLedger, 'partitions' | 'topics' | 'ageMs'>;
  readonly producer: RecordProducer;
  /** One tracker per partition. */
  readonly decisions: readonly DecisionTracker[];
  /** Why a partition owned by this instance is down; null if it runs or belongs to another instance. */
  readonly fault: (partition: number) => Fault | null;
  readonly isStopped: () => boolean;
};

/** After this time an undecided input is acknowledged as pending, because it is durable. */
const DECISION_MS = 5000;
/** A starting instance accepts inputs once its replicas are up to date, because it reads the decisions from them. */
const COPY_MS = 30_000;
const COPY_LOOK_MS = 20;

type Parcel = { readonly index: number; readonly message: NewRecord }[];

export class TopicInputs {
  readonly #options: TopicInputsOptions;

  constructor(options: TopicInputsOptions) {
    this.#options = options;
  }

  /** Returns whether a partition's replica has been up to date at least once. */
  isCopied(partition: number, now: number): boolean {
    return this.#options.ledger.ageMs(partition, now) !== null;
  }

  /** Sends each input to its VM's partition, and an input about the site to every partition. @throws Fault NOT_READY, INPUTS_ALTERED. */
  async submit(submissions: readonly Submission[]): Promise<Receipt[]> {
    const parcels = this.#parcels(submissions);
    await Promise.all([...parcels.keys()].map((partition) => this.#waitForReplica(partition)));
    this.#requireUnaltered(parcels.keys());
    const sent = await Promise.allSettled(
      [...parcels].map(async ([partition, parcel]) => ({
        parcel,
        outcomes: await this.#send(
          partition,
          parcel.map(({ message }) => message),
        ),
      })),
    );
    const byIndex: Outcome[][] = submissions.map(() => []);
    for (const each of sent) {
      if (each.status === 'rejected') throw unsent(each.reason);
      for (const [nth, { index }] of each.value.parcel.entries()) {
        const outcome = each.value.outcomes[nth];
        if (outcome !== undefined) byIndex[index]?.push(outcome);
      }
    }
    return byIndex.map(receiptOf);
  }

  #parcels(submissions: readonly Submission[]): Map<number, Parcel> {
    const { partitions } = this.#options.ledger;
    const parcels = new Map<number, Parcel>();
    for (const [index, { input, event }] of submissions.entries()) {
      const message = { key: input.vm, value: JSON.stringify(event) };
      for (const partition of partitionsOf(input.vm, partitions)) {
        const parcel = parcels.get(partition) ?? [];
        parcel.push({ index, message });
        parcels.set(partition, parcel);
      }
    }
    return parcels;
  }

  async #send(partition: number, messages: readonly NewRecord[]): Promise<Outcome[]> {
    const { ledger, producer, decisions } = this.#options;
    const ours = decisions[partition];
    if (ours === undefined) throw new RangeError(`there is no partition ${partition}`);
    const { inputs } = ledger.topics;
    const sending = ours.beginSend();
    let first: number | null = null;
    let found: Promise<Decision>[] = [];
    try {
      first = await producer.send(inputs, partition, messages);
    } finally {
      found = sending.finish(first, messages.length);
    }
    const from = first;
    const late = new AbortController();
    const timeout = wait(DECISION_MS, null, { signal: late.signal, ref: false }).catch(() => null);
    const decided = await Promise.all(found.map((decision) => Promise.race([decision, timeout])));
    late.abort();
    return messages.map((_, nth): Outcome => {
      const offset = from === null ? null : from + nth;
      const decision = decided[nth] ?? null;
      if (decision === null && offset !== null) ours.forget(offset);
      const input = `${streamOf(inputs, partition)}${offset === null ? '' : `:${offset}`}`;
      return { partition, decision, input };
    });
  }

  /**
   * Sends nothing while an owned partition reports a recreated topic, because restoring the right topic would delete the sent
   * inputs. For partitions of other instances the decision tracker detects a recreated topic from the assigned offsets.
   */
  #requireUnaltered(partitions: Iterable<number>): void {
    for (const partition of partitions) {
      const fault = this.#options.fault(partition);
      if (fault?.code === 'INPUTS_ALTERED') throw fault;
    }
  }

  async #waitForReplica(partition: number): Promise<void> {
    for (const deadline = Date.now() + COPY_MS; !this.isCopied(partition, Date.now()); await wait(COPY_LOOK_MS)) {
      if (this.#options.isStopped() || Date.now() > deadline) throw notReady('the ledger is being read');
    }
  }
}
