import type { LoopObserver } from '../../engine/partition-loop.ts';
import { PartitionRunner } from '../../engine/partition-runner.ts';
import type { Directory } from '../../log/directory.ts';
import type { Time } from '../../engine/time.ts';
import type { Fault } from '../../events/fault.ts';
import type { Ledger, Progress } from '../../log/port.ts';
import { ClaimChecks, type InputTopic } from './claim-checks.ts';
import { lastConsumedRecord } from './consumed-record.ts';
import type { Fetched } from './fetched-batch.ts';
import { PartitionRun, type PartitionRunOptions } from './partition-run.ts';
import { type Limit, PendingInputs } from './pending-inputs.ts';
import type { RelayOptions } from './relay-checkpoint.ts';

/** One partition assigned to this instance, from its assignment to its revocation: claims it and passes its inputs to the run. */

export type OwnershipOptions = {
  readonly partition: number;
  readonly ledger: Ledger;
  readonly time: Time;
  readonly directory: () => Directory;
  /** The progress as of the last ledger record this instance has read; the ledger may be ahead of it. */
  readonly knownProgress: () => Progress;
  readonly inputs: InputTopic;
  /** Rises each time the group confirms the assignment; null while the partition is not assigned. */
  readonly assignmentEpoch: () => number | null;
  readonly relay: RelayOptions;
  readonly observer: LoopObserver & {
    /** Called when the partition is claimed. */
    ready: (partition: number, next: number) => void;
    /** Called when the partition stops accepting inputs, until the next call of `ready`. */
    down: (partition: number, fault: Fault) => void;
  };
};

const RETRY_MS = { min: 100, max: 5000 };

export class PartitionOwnership {
  readonly partition: number;
  readonly #options: OwnershipOptions;
  readonly #checks: ClaimChecks;
  readonly #pending = new PendingInputs();
  readonly #runner: PartitionRunner<PartitionRun>;

  constructor(options: OwnershipOptions) {
    const { partition, time, observer } = options;
    this.partition = partition;
    this.#options = options;
    this.#checks = new ClaimChecks(options);
    this.#runner = new PartitionRunner({
      time,
      retryMs: RETRY_MS,
      claim: (fail, isStopped) => this.#claim(fail, isStopped),
      mayClaimAfter: (fault) => this.#mayClaimAfter(fault),
      ready: (run) => {
        observer.ready(partition, run.next);
        run.begin();
      },
      down: (fault) => {
        this.#pending.recheck();
        observer.down(partition, fault);
      },
    });
    this.#runner.startRetrying();
  }

  /** Why the partition accepts no inputs; null while it does. */
  get fault(): Fault | null {
    return this.#runner.fault;
  }

  /**
   * The input stream of the current run. Before the first run: the stream that this instance has read from the ledger.
   */
  get stream(): string {
    return this.#runner.run?.stream ?? this.#options.inputs.streamIn(this.#options.knownProgress().checkpoints);
  }

  /** The number of delivered inputs that are not durable yet. */
  get waiting(): number {
    return this.#pending.inputs;
  }

  /** Returns whether the batch was accepted; a refused batch is delivered again. */
  deliver(fetched: Fetched): boolean {
    return this.#runner.run?.deliver(fetched) ?? false;
  }

  /** Verifies the topic's identity again. Required after the instance rejoined the group: the topic may have been recreated. */
  verifyTopic(): void {
    this.#runner.run?.verifyTopic();
  }

  /** Records that the topic was read up to this offset, transaction markers included. */
  skipTo(next: number): void {
    this.#runner.run?.skipTo(next);
  }

  /** How far the topic was read; null while inputs are pending or the partition is down. */
  get readUntil(): number | null {
    return this.#pending.inputs === 0 ? (this.#runner.run?.readUntil ?? null) : null;
  }

  /** Returns whether the pending inputs have reached the limit. */
  isFull(limit: Limit): boolean {
    return this.#runner.run !== null && this.#pending.hasReached(limit);
  }

  /** Resolves when the pending inputs are below the limit or the partition is down. */
  async waitForRoom(limit: Limit): Promise<void> {
    while (this.isFull(limit)) await this.#pending.changed();
  }

  /** Stops accepting inputs. Resolves when the accepted inputs are durable or rejected and the partition is released. */
  async stop(): Promise<void> {
    const stopped = this.#runner.stop();
    this.#pending.recheck();
    await stopped;
  }

  async #claim(fail: (fault: Fault) => void, isStopped: () => boolean): Promise<PartitionRun | null> {
    const { ledger, partition, knownProgress } = this.#options;
    await this.#checks.beforeClaim(knownProgress());
    if (isStopped()) return null;
    const owner = await ledger.claim(partition, fail);
    try {
      const range = await this.#checks.afterClaim(owner);
      const { stream } = this.#checks.nextInput(owner);
      const lastConsumed = await lastConsumedRecord(ledger, partition, stream);
      if (!isStopped()) return this.#startRun({ owner, range, lastConsumed, fail });
    } catch (error) {
      await owner.release();
      throw error;
    }
    await owner.release();
    return null;
  }

  #startRun(claimed: Pick<PartitionRunOptions, 'owner' | 'range' | 'lastConsumed' | 'fail'>): PartitionRun {
    const { time, directory, inputs, relay, observer } = this.#options;
    this.#runner.resetDelay();
    return new PartitionRun({
      ...claimed,
      time,
      directory: directory(),
      inputs,
      nextInput: this.#checks.nextInput(claimed.owner),
      relay,
      pending: this.#pending,
      observer,
      altered: (fault, at) => this.#checks.recordAltered(fault, at),
    });
  }

  /**
   * Returns the check for the next claim. An instance is often fenced because the group has assigned the partition to another
   * instance, so a fenced instance waits for a newer assignment.
   */
  #mayClaimAfter({ code }: Fault): () => boolean {
    const { assignmentEpoch } = this.#options;
    const fencedEpoch = code === 'LEDGER_FENCED' ? assignmentEpoch() : null;
    return () => {
      const epoch = assignmentEpoch();
      return epoch !== null && epoch !== fencedEpoch;
    };
  }
}
