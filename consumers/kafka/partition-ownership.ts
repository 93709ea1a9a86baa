import { Fault } from '../../events/fault.ts';
import { isBeingImported } from '../../log/kafka/import.ts';
import type { Ledger, Owner, Progress } from '../../log/port.ts';
import { Driver } from '../../engine/driver.ts';
import { PartitionLoop, type LoopObserver } from '../../engine/partition-loop.ts';
import type { Time } from '../../engine/time.ts';
import type { Directory } from '../../engine/partition/directory.ts';
import { bytesOf, type Fetched, follows, partsOf } from './fetched-batch.ts';
import { type RelayStream, type RunningRelay, startRelay } from './relay-checkpoint.ts';
import { clockBehind } from './clock-check.ts';
import { TopicDeadlineGate } from './deadline-gate.ts';
import { type OffsetRange, inputsBroken, requireNext, requireReached } from './offset-range.ts';
import { TopicIdentityCheck } from './topic-identity-check.ts';
import { type ConsumedRecord, lastConsumedRecord } from './consumed-record.ts';

/**
 * One partition while it is this instance's to decide: claimed, run, and where its owner died claimed anew, until the group
 * gives it to another.
 */

export type OwnershipOptions = {
  readonly partition: number;
  readonly ledger: Ledger;
  /** The stream name of the partition's inputs, given the checkpoints of the ledger. */
  readonly streamIn: (checkpoints: ReadonlyMap<string, number>) => string;
  readonly time: Time;
  readonly directory: () => Directory;
  /** The progress as of the last ledger record this instance has read; the ledger may be ahead of it. */
  readonly known: () => Progress;
  /** Which inputs the topic holds. */
  readonly offsetRange: () => Promise<OffsetRange>;
  /** Counts how often the group said that the partition is ours; null while it does not. */
  readonly assignmentEpoch: () => number | null;
  /** Asks the topic to deliver from this offset on. */
  readonly seek: (offset: number) => void;
  readonly relay: RelayStream;
  readonly observer: LoopObserver & {
    /** It is claimed: from here on inputs are taken, beginning with this offset. */
    ready: (partition: number, next: number) => void;
    /** It takes nothing for now. */
    down: (partition: number, fault: Fault) => void;
    committed: (entries: number, ms: number) => void;
  };
};

/**
 * One is committed in the topic, one is written to the copy, and small ones that are worked out meanwhile go together into the
 * next transaction: one that had to wait for its turn here would miss it.
 */
const COMMITS_UNDER_WAY = 8;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5000;
/** An altered topic of inputs may be brought back: then it is claimed again, which adds a record to the ledger each time. */
const ALTERED_MS = 60_000;
/** How often the group's word is looked for. */
const EPOCH_LOOK_MS = 100;

type Running = RunningRelay & {
  readonly owner: Owner;
  readonly loop: PartitionLoop;
  readonly gate: TopicDeadlineGate;
  readonly proof: TopicIdentityCheck;
  readonly died: (fault: Fault) => void;
};

type State =
  | ({ readonly kind: 'ready' } & Running)
  | { readonly kind: 'down'; readonly fault: Fault }
  | { readonly kind: 'stopped' };

/** How far a stream was taken. */
type Place = { readonly stream: string; readonly next: number };
const isPlace = (place: Place | null, { stream, next }: Place) => place?.stream === stream && place.next === next;

/** Inputs that wait for their commit. */
export type Limit = { readonly inputs: number; readonly bytes: number };

export class PartitionOwnership {
  readonly partition: number;
  readonly #options: OwnershipOptions;
  #state: State = { kind: 'down', fault: new Fault('NOT_READY', 'the partition is being claimed', 'Wait a moment.') };
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | null = null;
  #claiming: Promise<void> = Promise.resolve();
  #stream: string;
  #next = 0;
  /** The topic was read up to this offset, markers of transactions included. */
  #read = 0;
  /** Where the last claim found the inputs deleted; null: it did not. */
  #lostAt: Place | null = null;
  /** What the last owner found in the topic; null: what was to be expected. */
  #altered: (Place & { readonly fault: Fault; readonly at: number }) | null = null;
  #waiting = 0;
  #waitingBytes = 0;
  #room: (() => void)[] = [];

  constructor(options: OwnershipOptions) {
    this.partition = options.partition;
    this.#options = options;
    this.#stream = options.streamIn(options.known().checkpoints);
    this.#claiming = this.#claim();
  }

  /** Why it takes nothing just now; null: it does. */
  get fault(): Fault | null {
    return this.#state.kind === 'down' ? this.#state.fault : null;
  }

  /** The stream that its inputs are of. */
  get stream(): string {
    return this.#stream;
  }

  /** Inputs that were delivered and are not durable yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Takes what the topic delivered; what was delivered before is passed over. What does not follow ends the owner, as kafkajs
   * goes on elsewhere without a word where an offset is not there. Returns whether it follows.
   */
  deliver(fetched: Fetched): boolean {
    if (this.#state.kind !== 'ready') return false;
    const { loop, gate, died, proof } = this.#state;
    if (!follows(fetched, this.#next, this.#read)) {
      died(inputsBroken(this.#stream, this.#next, fetched.from));
      return false;
    }
    const { fault, isGiven } = proof.look(fetched);
    if (fault !== null) this.#diedOf(fault, died);
    if (!isGiven) return false;
    const fresh = fetched.items.filter(({ offset }) => offset >= this.#next);
    this.#read = Math.max(this.#read, fetched.until);
    this.#next = (fresh.at(-1)?.offset ?? this.#next - 1) + 1;
    for (const part of partsOf(fresh)) {
      const bytes = bytesOf(part);
      this.#waiting += part.length;
      this.#waitingBytes += bytes;
      void loop
        .deliver(
          part.map(({ item }) => item),
          bytes,
        )
        .catch(() => {}) // its owner died, which is told elsewhere
        .then(() => this.#release(part.length, bytes));
    }
    proof.taken(fresh, this.#next);
    gate.delivered(this.#next);
    return true;
  }

  /** The group was joined anew: until then nobody read what the topic did. */
  verifyTopic(): void {
    if (this.#state.kind === 'ready') this.#state.proof.renew();
  }

  #diedOf(fault: Fault, died: (fault: Fault) => void): void {
    this.#altered = { fault, stream: this.#stream, next: this.#next, at: this.#options.time.now() };
    died(fault);
  }

  /** The topic was read up to this offset, markers of transactions included. */
  skipTo(next: number): void {
    if (this.#state.kind !== 'ready' || next < this.#next || !this.#state.proof.isGiven) return;
    this.#read = Math.max(this.#read, next);
    this.#state.gate.delivered(next);
  }

  /** How far the topic was read, where it takes inputs and none waits; null: it has enough to do, or takes nothing. */
  get readUntil(): number | null {
    return this.#state.kind === 'ready' && this.#waiting === 0 ? this.#read : null;
  }

  /** Whether as many inputs wait as may. */
  isFull({ inputs, bytes }: Limit): boolean {
    return this.#state.kind === 'ready' && (this.#waiting >= inputs || this.#waitingBytes >= bytes);
  }

  /** Resolves when fewer wait. */
  async waitForRoom(limit: Limit): Promise<void> {
    while (this.isFull(limit)) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  /** Takes nothing more, and gives the partition up once what it took is durable. */
  async stop(): Promise<void> {
    const before = this.#state;
    this.#state = { kind: 'stopped' };
    this.#cancelRetry?.();
    this.#wakeAll();
    if (before.kind === 'ready') await ended(before);
    await this.#claiming;
  }

  #release(count: number, bytes: number): void {
    this.#waiting -= count;
    this.#waitingBytes -= bytes;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#room.splice(0)) resolve();
  }

  async #claim(): Promise<void> {
    try {
      await this.#requireFree();
      if (this.#state.kind === 'stopped') return;
      await this.#run();
      this.#retryMs = RETRY_MS_MIN;
    } catch (error) {
      this.#down(faultOf(error));
    }
  }

  /** What can be known before: a claim would fence whoever imports, and adds a record to the ledger each time. */
  async #requireFree(): Promise<void> {
    const { known, offsetRange, partition, directory, time } = this.#options;
    const progress = known();
    if (isBeingImported(progress.checkpoints)) throw importing(partition);
    const behind = clockBehind(directory(), time.now());
    if (behind !== null) throw behind;
    const { stream, next } = this.#placeIn(progress);
    const found = await offsetRange();
    requireReached(stream, next, found);
    this.#requireUnaltered({ stream, next });
    // The ledger may be further than it is known here: what is missing is for the claim to tell, once.
    const lost = this.#lostAt;
    if (lost?.stream === stream && next <= lost.next) requireNext(stream, lost.next, found);
  }

  #requireUnaltered(place: Place): void {
    const altered = this.#altered;
    if (altered === null) return;
    if (isPlace(altered, place) && this.#options.time.now() - altered.at < ALTERED_MS) throw altered.fault;
    this.#altered = null;
  }

  #placeIn({ inputPositions, checkpoints }: Progress): Place {
    const stream = this.#options.streamIn(checkpoints);
    return { stream, next: (inputPositions.get(stream) ?? -1) + 1 };
  }

  async #run(): Promise<void> {
    const { ledger, partition, observer } = this.#options;
    const lost: { fault: Fault | null; died: (fault: Fault) => void } = { fault: null, died: () => {} };
    const owner = await ledger.claim(partition, (fault) => {
      lost.fault = fault;
      lost.died(fault);
    });
    let found: { held: OffsetRange; record: ConsumedRecord | null };
    try {
      found = {
        held: await this.#requireWhole(owner),
        record: await lastConsumedRecord(ledger, partition, this.#stream),
      };
    } catch (error) {
      await owner.release();
      throw error;
    }
    // It may have been given up while the topic was asked.
    if (this.#isStopped()) return owner.release();
    const running = this.#start(owner, found.record);
    this.#state = { kind: 'ready', ...running };
    observer.ready(partition, this.#next);
    running.proof.begin(found.held);
    if (running.proof.isGiven) running.gate.delivered(this.#next);
    lost.died = running.died;
    if (lost.fault !== null) running.died(lost.fault);
  }

  #isStopped(): boolean {
    return this.#state.kind === 'stopped';
  }

  /** What is to be decided must follow what was. */
  async #requireWhole(owner: Owner): Promise<OffsetRange> {
    const { partition, offsetRange, directory, time } = this.#options;
    if (isBeingImported(owner.checkpoints)) throw importing(partition);
    const behind = clockBehind(directory(), time.now());
    if (behind !== null) throw behind;
    const { stream, next } = this.#placeIn(owner);
    this.#stream = stream;
    this.#lostAt = { stream, next };
    const found = await offsetRange();
    requireNext(stream, next, found);
    this.#lostAt = null;
    return found;
  }

  #start(owner: Owner, record: ConsumedRecord | null): Running {
    const { seek, time, directory, offsetRange, observer, relay } = this.#options;
    const driver = new Driver(owner, directory());
    const { relayed, note } = startRelay(owner, relay, time);
    driver.onCommitted((entries, { sequence }) => relayed.committed(sequence - entries.length + 1, entries));
    const end = async () => (await offsetRange()).high;
    const gate = new TopicDeadlineGate({ time, end, whenTaken: (callback) => loop.whenTaken(callback) });
    const died = (fault: Fault) => {
      if (this.#state.kind !== 'ready' || this.#state.owner !== owner) return;
      // Nobody may take it for alive while what it began is being ended.
      this.#setDown(fault);
      gate.close();
      proof.close();
      loop.end(fault);
      this.#claiming = Promise.all([relayed.stop(), owner.release()])
        .catch(() => {})
        .then(() => this.#retryLater(fault));
    };
    const loop: PartitionLoop = new PartitionLoop(
      driver,
      time,
      { ...observer, died },
      { gate, commitsUnderWay: COMMITS_UNDER_WAY },
    );
    const { stream, next } = this.#placeIn(owner);
    this.#next = next;
    this.#read = this.#next;
    const proof = new TopicIdentityCheck({ stream, time, offsetRange, seek }, record, this.#next);
    return { owner, loop, gate, proof, relayed, note, died };
  }

  #down(fault: Fault): void {
    this.#setDown(fault);
    this.#retryLater(fault);
  }

  #setDown(fault: Fault): void {
    if (this.#state.kind === 'stopped') return;
    this.#state = { kind: 'down', fault };
    this.#wakeAll();
    this.#options.observer.down(this.partition, fault);
  }

  #retryLater({ code }: Fault): void {
    const { assignmentEpoch } = this.#options;
    // Whoever fenced it may be the one to whom the group gave the partition: only the group's word after that counts.
    this.#retryWhenOurs(this.#retryMs, code === 'LEDGER_FENCED' ? assignmentEpoch() : null);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #retryWhenOurs(ms: number, heard: number | null): void {
    const { time, assignmentEpoch } = this.#options;
    if (this.#state.kind === 'stopped') return;
    this.#cancelRetry = time.after(ms, () => {
      const said = assignmentEpoch();
      if (said === null || said === heard) this.#retryWhenOurs(EPOCH_LOOK_MS, heard);
      else this.#claiming = this.#claim();
    });
  }
}

async function ended({ loop, gate, proof, relayed, note }: Running): Promise<void> {
  gate.close();
  proof.close();
  await relayed.stop();
  // What a dying owner refuses comes again, from the topic or from the ledger.
  await note().catch(() => {});
  await loop.stop().catch(() => {});
}

function faultOf(error: unknown): Fault {
  return error instanceof Fault ? error : new Fault('LEDGER_FAILED', String(error), 'See the log.', error);
}

function importing(partition: number): Fault {
  const remedy = 'Run `landfall kafka import` again: it goes on where it ended.';
  return new Fault('IMPORT_UNFINISHED', `the import into partition ${partition} is not finished`, remedy);
}
