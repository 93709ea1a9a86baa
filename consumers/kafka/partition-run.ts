import { Driver } from '../../engine/driver.ts';
import { type LoopObserver, PartitionLoop } from '../../engine/partition-loop.ts';
import type { Run } from '../../engine/partition-runner.ts';
import type { Directory } from '../../log/directory.ts';
import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import type { Owner } from '../../log/port.ts';
import type { InputTopic, NextInput } from './claim-checks.ts';
import type { ConsumedRecord } from './consumed-record.ts';
import { TopicDeadlineGate } from './deadline-gate.ts';
import { bytesOf, type Fetched, follows, partsOf } from './fetched-batch.ts';
import { inputsBroken, type OffsetRange } from './offset-range.ts';
import type { PendingInputs } from './pending-inputs.ts';
import { type RelayOptions, type RunningRelay, startRelay } from './relay-checkpoint.ts';
import { TopicIdentityCheck } from './topic-identity-check.ts';

/**
 * One claimed Kafka partition: passes fetched inputs to the loop in offset order, exactly once, and relays what was committed.
 */

export type PartitionRunOptions = {
  readonly owner: Owner;
  readonly time: Time;
  readonly directory: Directory;
  readonly inputs: InputTopic;
  readonly nextInput: NextInput;
  /** The offsets that the topic held at the claim. */
  readonly range: OffsetRange;
  /** The last record consumed by the previous owner; null if the ledger's tail has none. */
  readonly lastConsumed: ConsumedRecord | null;
  readonly relay: RelayOptions;
  readonly pending: PendingInputs;
  readonly observer: LoopObserver;
  readonly fail: (fault: Fault) => void;
  /** The topic failed the identity check at this input. */
  readonly altered: (fault: Fault, nextInput: NextInput) => void;
};

/**
 * A small limit would make batches wait for their turn here and miss the next Kafka transaction, which joins all batches that
 * are ready.
 */
const COMMITS_UNDER_WAY = 8;

export class PartitionRun implements Run {
  readonly stream: string;
  readonly #options: PartitionRunOptions;
  readonly #loop: PartitionLoop;
  readonly #gate: TopicDeadlineGate;
  readonly #identityCheck: TopicIdentityCheck;
  readonly #relay: RunningRelay;
  #next: number;
  /** The topic was read up to this offset, transaction markers included. */
  #readUntil: number;

  constructor(options: PartitionRunOptions) {
    const { owner, time, directory, inputs, nextInput, lastConsumed, observer, fail } = options;
    this.#options = options;
    this.stream = nextInput.stream;
    this.#next = nextInput.next;
    this.#readUntil = nextInput.next;
    const driver = new Driver(owner, directory);
    const { relay } = (this.#relay = startRelay(owner, options.relay, time));
    driver.onCommitted((entries, { sequence }) => relay.committed(sequence - entries.length + 1, entries));
    const end = async () => (await inputs.offsetRange()).high;
    this.#gate = new TopicDeadlineGate({ time, end, whenTaken: (callback) => this.#loop.whenTaken(callback) });
    const loopOptions = { gate: this.#gate, commitsUnderWay: COMMITS_UNDER_WAY };
    this.#loop = new PartitionLoop(driver, time, { ...observer, died: fail }, loopOptions);
    const { offsetRange, seek } = inputs;
    this.#identityCheck = new TopicIdentityCheck({ ...nextInput, time, offsetRange, seek }, lastConsumed);
  }

  /** Makes the consumer deliver records. The first one is the record that proves the identity of the topic. */
  begin(): void {
    this.#identityCheck.begin(this.#options.range);
    if (this.#identityCheck.isPassed) this.#gate.delivered(this.#next);
  }

  /** The offset of the next input. */
  get next(): number {
    return this.#next;
  }

  get readUntil(): number {
    return this.#readUntil;
  }

  /** Verifies the topic again before the next input. */
  verifyTopic(): void {
    this.#identityCheck.restart();
  }

  /**
   * Accepts a fetched batch, without the inputs accepted before. A gap ends the run, because kafkajs silently continues
   * elsewhere if an offset was deleted. Returns whether the batch was accepted.
   */
  deliver(fetched: Fetched): boolean {
    if (!follows(fetched, this.#next, this.#readUntil)) {
      this.#options.fail(inputsBroken(this.stream, this.#next, fetched.from));
      return false;
    }
    const { fault, isPassed } = this.#identityCheck.check(fetched);
    if (fault !== null) {
      this.#options.altered(fault, { stream: this.stream, next: this.#next });
      this.#options.fail(fault);
    }
    if (!isPassed) return false;
    this.#accept(fetched);
    return true;
  }

  #accept(fetched: Fetched): void {
    const accepted = fetched.items.filter(({ offset }) => offset >= this.#next);
    this.#readUntil = Math.max(this.#readUntil, fetched.until);
    this.#next = (accepted.at(-1)?.offset ?? this.#next - 1) + 1;
    for (const part of partsOf(accepted)) {
      const bytes = bytesOf(part);
      const settled = this.#options.pending.add(part.length, bytes);
      const items = part.map(({ item }) => item);
      // A rejection ends the run, which reports it through `fail`.
      void this.#loop.deliver(items, bytes).then(settled, settled);
    }
    this.#identityCheck.accepted(accepted, this.#next);
    this.#gate.delivered(this.#next);
  }

  /** Records that the topic was read up to this offset and that only transaction markers were skipped. */
  skipTo(next: number): void {
    if (next < this.#next || !this.#identityCheck.isPassed) return;
    this.#readUntil = Math.max(this.#readUntil, next);
    this.#gate.delivered(next);
  }

  async abandon(fault: Fault): Promise<void> {
    this.#gate.close();
    this.#identityCheck.close();
    this.#loop.end(fault);
    await Promise.all([this.#relay.relay.stop(), this.#options.owner.release()]);
  }

  async stop(): Promise<void> {
    this.#gate.close();
    this.#identityCheck.close();
    await this.#relay.relay.stop();
    // A rejected checkpoint or input is delivered again to the next owner.
    await this.#relay.saveCheckpoint().catch(() => {});
    await this.#loop.stop().catch(() => {});
  }
}
