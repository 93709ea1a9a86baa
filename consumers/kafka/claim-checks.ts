import type { Directory } from '../../log/directory.ts';
import type { Time } from '../../engine/time.ts';
import { Fault } from '../../events/fault.ts';
import { isBeingImported } from '../../log/kafka/import.ts';
import type { Progress } from '../../log/port.ts';
import { clockBehind } from './clock-check.ts';
import { type OffsetRange, requireNext, requireReached } from './offset-range.ts';

/**
 * Refuses to claim a partition that this instance cannot continue: during an import, with a slow clock, or if the topic of
 * inputs does not follow the ledger. A refusal costs nothing, whereas each claim fences the owner and adds a ledger record.
 */

export type ClaimChecksOptions = {
  readonly partition: number;
  readonly time: Time;
  readonly directory: () => Directory;
  readonly inputs: InputTopic;
};

/** One partition of the topic of inputs. */
export type InputTopic = {
  /** The name of its input position: the topic's partition, plus a generation after an operator accepted a new topic. */
  readonly streamIn: (checkpoints: ReadonlyMap<string, number>) => string;
  /** @throws Fault KAFKA_… if the brokers do not answer. */
  readonly offsetRange: () => Promise<OffsetRange>;
  /** Makes the consumer continue at this offset. */
  readonly seek: (offset: number) => void;
};

/** A stream and the offset of its next input. */
export type NextInput = { readonly stream: string; readonly next: number };

/** An altered topic may be restored, so the claim is tried again after this time. */
const ALTERED_MS = 60_000;

export class ClaimChecks {
  readonly #options: ClaimChecksOptions;
  /** The next input of the last claim, if the topic had deleted it. */
  #deleted: NextInput | null = null;
  /** The last identity fault of the topic. */
  #altered: (NextInput & { readonly fault: Fault; readonly at: number }) | null = null;

  constructor(options: ClaimChecksOptions) {
    this.#options = options;
  }

  nextInput({ inputPositions, checkpoints }: Progress): NextInput {
    const stream = this.#options.inputs.streamIn(checkpoints);
    return { stream, next: (inputPositions.get(stream) ?? -1) + 1 };
  }

  /** Remembers that the topic failed the identity check at this input. */
  recordAltered(fault: Fault, nextInput: NextInput): void {
    this.#altered = { ...nextInput, fault, at: this.#options.time.now() };
  }

  /**
   * Checks the progress this instance has read, which may be behind the ledger.
   * @throws Fault IMPORT_UNFINISHED, CLOCK_BEHIND, INPUTS_ALTERED, INPUTS_LOST, KAFKA_….
   */
  async beforeClaim(progress: Progress): Promise<void> {
    this.#requireOwnable(progress);
    const { stream, next } = this.nextInput(progress);
    const range = await this.#options.inputs.offsetRange();
    requireReached(stream, next, range);
    this.#requireUnaltered({ stream, next });
    // Only a claim knows the true position, so deleted inputs are reported after one claim, and refused from then on.
    const deleted = this.#deleted;
    if (deleted?.stream === stream && next <= deleted.next) requireNext(stream, deleted.next, range);
  }

  /** Checks the owner's own progress. @throws Fault as `beforeClaim`. */
  async afterClaim(progress: Progress): Promise<OffsetRange> {
    this.#requireOwnable(progress);
    const nextInput = this.nextInput(progress);
    this.#deleted = nextInput;
    const range = await this.#options.inputs.offsetRange();
    requireNext(nextInput.stream, nextInput.next, range);
    this.#deleted = null;
    return range;
  }

  #requireOwnable({ checkpoints }: Progress): void {
    const { partition, directory, time } = this.#options;
    if (isBeingImported(checkpoints)) throw importing(partition);
    const behind = clockBehind(directory(), time.now());
    if (behind !== null) throw behind;
  }

  #requireUnaltered({ stream, next }: NextInput): void {
    const altered = this.#altered;
    if (altered === null) return;
    const isSameInput = altered.stream === stream && altered.next === next;
    if (isSameInput && this.#options.time.now() - altered.at < ALTERED_MS) throw altered.fault;
    this.#altered = null;
  }
}

function importing(partition: number): Fault {
  const remedy = 'Run `landfall kafka import` again; it continues after the last imported entry.';
  return new Fault('IMPORT_UNFINISHED', `the import into partition ${partition} is not finished`, remedy);
}
