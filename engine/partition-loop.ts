import { Fault } from '../events/fault.ts';
import type { Input } from '../events/inputs.ts';
import { WALL } from '../events/vocabulary.ts';
import type { Head, InputPosition } from '../log/port.ts';
import type { Driver } from './driver.ts';
import type { Malformed, Taken } from './partition/partition.ts';
import type { Time } from './time.ts';

/**
 * Runs a partition continuously: decides inputs as they arrive and deadlines as they fall due, and commits in groups. An input
 * is acknowledged only when it is durable (invariant 10).
 *
 * Inputs that were waiting when a deadline fell due are decided before the deadline, so that after a downtime or during a burst
 * an answer is never overtaken by the time limit of its question.
 */

/** A submitted input after its commit. `sequence` is the position of its first entry; null for a duplicate, which has no entry. */
export type CommittedInput = { taken: Taken; sequence: number | null };
/** A record of an input stream: an input with its position, or a malformed record. */
export type Delivered = { input: Input; at: InputPosition | null } | { malformed: Malformed };
/** Delays deadlines until all inputs that were in the input log when the deadline fell due have been decided. */
export interface DeadlineGate {
  /**
   * Returns the time up to which all logged inputs have been decided. If `wanted` is later than this time, the gate continues
   * to open by itself and then wakes the loop through `whenTaken`.
   */
  takenUntil(wanted: number): number;
}
export type LoopObserver = {
  /** Called when a commit became durable, with its number of entries and its duration in milliseconds. */
  committed?: (entries: number, ms: number) => void;
  /** Called when timers fired, with their number and the longest delay in milliseconds. */
  fired?: (count: number, latenessMsMax: number) => void;
  /** Called once when the loop has ended and all pending inputs were rejected. */
  died?: (fault: Fault) => void;
};

export const INPUTS_PER_COMMIT = 1024;
/** The limit for inputs of known size, so that their entries fit into one Kafka transaction. */
export const COMMIT_BYTES = 4 * 1024 * 1024;
/** A commit may exceed this number, because one input about a host writes an entry for each open attempt of that host. */
const ENTRIES_PER_COMMIT = 2048;
/** The limit over all commits under way, whose entries stay in memory until they are readable. */
const ENTRIES_UNDER_WAY = 3 * ENTRIES_PER_COMMIT;
const TIMERS_PER_COMMIT = 1024;
const COMMITS_UNDER_WAY = 2;

export type LoopOptions = {
  readonly gate?: DeadlineGate;
  /** The next batch is decided while at most this many commits are being written. Default: 2. */
  readonly commitsUnderWay?: number;
};

/** Inputs that were submitted together, and how far they have been decided. */
type QueuedInputs = {
  items: readonly Delivered[];
  /** The number of decided items. */
  decided: number;
  /** The results of the durable items. */
  results: CommittedInput[];
  clock: string;
  bytes: number;
  /** Deadlines that fell due later wait for this submission. */
  arrivedAt: number;
  onTaken?: () => void;
  resolve: (results: CommittedInput[]) => void;
  reject: (error: unknown) => void;
};
/** A decided item. `index` is the place of its first entry in the batch; null for a duplicate. */
type Decided = { readonly taken: Taken; readonly index: number | null };
/** The items of one submission that belong to one commit. */
type Share = { submission: QueuedInputs; decided: Decided[]; isLast: boolean };

export class PartitionLoop {
  readonly #driver: Driver;
  readonly #time: Time;
  readonly #observer: LoopObserver;
  readonly #gate: DeadlineGate | null;
  readonly #commitsUnderWay: number;
  #queue: QueuedInputs[] = [];
  #underWay = 0;
  #entriesUnderWay = 0;
  /**
   * Settles when the newest commit settles. A duplicate waits for this commit, because the original input may not be
   * durable yet.
   */
  #newestCommit: Promise<unknown> = Promise.resolve();
  #scheduled = false;
  #cancelAlarm: (() => void) | null = null;
  #fault: Fault | null = null;
  #idle: (() => void)[] = [];
  #stopping = false;

  constructor(driver: Driver, time: Time, observer: LoopObserver = {}, options: LoopOptions = {}) {
    this.#driver = driver;
    this.#time = time;
    this.#observer = observer;
    this.#gate = options.gate ?? null;
    this.#commitsUnderWay = options.commitsUnderWay ?? COMMITS_UNDER_WAY;
    this.#wake();
  }

  /** Why the loop ended; null while it runs. After a fault the partition must be claimed again. */
  get fault(): Fault | null {
    return this.#fault;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Decides inputs in order. Resolves when all of them are durable. `clock` is the world the inputs belong to: an operator's
   * resolution of a recorded attempt uses the recording's clock. @throws Fault if an input may not be durable.
   */
  submit(inputs: readonly Input[], clock = WALL): Promise<CommittedInput[]> {
    const items = inputs.map((input) => ({ input, at: null }));
    return this.#enqueue({ items, clock, bytes: 0, arrivedAt: this.#time.now() });
  }

  /**
   * Decides the records of an input log in order. Resolves when all of them are durable. Deadlines wait for the gate, not for
   * these records. @throws Fault if a record is not durable; the log delivers it again.
   */
  deliver(items: readonly Delivered[], bytes = 0): Promise<CommittedInput[]> {
    return this.#enqueue({ items, clock: WALL, bytes, arrivedAt: Number.POSITIVE_INFINITY });
  }

  /** Calls back when all records delivered before have been decided, and before deadlines are checked in that turn. */
  whenTaken(callback: () => void): void {
    const marker = { items: [], clock: WALL, bytes: 0, arrivedAt: Number.POSITIVE_INFINITY, onTaken: callback };
    this.#enqueue(marker).catch(() => {});
  }

  #enqueue(submission: Omit<QueuedInputs, 'decided' | 'results' | 'resolve' | 'reject'>): Promise<CommittedInput[]> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    if (this.#stopping)
      return Promise.reject(
        new Fault('STOPPING', 'the service is stopping', 'Send the input again after the restart.'),
      );
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...submission, decided: 0, results: [], resolve, reject });
      this.#wake();
    });
  }

  /** Ends the loop because its owner has ended: rejects all pending inputs and fires no further deadline. */
  end(fault: Fault): void {
    this.#die(fault, []);
  }

  /** Stops accepting inputs. Resolves when the accepted inputs are durable and the partition is released. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelAlarm?.();
    if (this.#queue.length > 0 || this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#fault === null) await this.#driver.release();
  }

  /** Schedules a turn after the callbacks that are ready now, so that inputs arriving together share a commit. */
  #wake(): void {
    if (this.#scheduled || this.#fault !== null) return;
    this.#scheduled = true;
    const turn = () => {
      this.#scheduled = false;
      this.#turn();
    };
    if (this.#time.soon === undefined) setImmediate(turn);
    else this.#time.soon(turn);
  }

  #turn(): void {
    if (this.#fault !== null || this.#isBusy) return;
    const shares: Share[] = [];
    try {
      this.#decideQueued(shares);
      this.#fireDue();
    } catch (error) {
      // The memory holds half a decision, which must never be committed.
      return this.#die(error, shares);
    }
    if (shares.length > 0 || this.#driver.partition.pendingCount > 0) void this.#commitAndAnswer(shares);
    this.#setAlarm();
    if (this.#queue.length > 0) this.#wake();
    else if (this.#underWay === 0) this.#resolveIdle();
  }

  get #isBusy(): boolean {
    return this.#underWay >= this.#commitsUnderWay || this.#entriesUnderWay >= ENTRIES_UNDER_WAY;
  }

  #decideQueued(shares: Share[]): void {
    const now = this.#time.now();
    const decided = { inputs: 0, bytes: 0 };
    let index = 0;
    for (
      let submission = this.#queue[0];
      submission !== undefined && this.#hasRoom(submission, decided);
      submission = this.#queue[index]
    ) {
      const share = this.#decideShare(submission, now);
      shares.push(share);
      if (!share.isLast) break;
      index += 1;
      decided.inputs += submission.items.length;
      decided.bytes += submission.bytes;
      submission.onTaken?.();
    }
    this.#queue = this.#queue.slice(index);
  }

  /** Decides items until the batch is full. The remaining items of the submission go into the next commit. */
  #decideShare(submission: QueuedInputs, now: number): Share {
    const share: Share = { submission, decided: [], isLast: false };
    for (const item of submission.items.slice(submission.decided)) {
      if (share.decided.length > 0 && this.#driver.partition.pendingCount >= ENTRIES_PER_COMMIT) return share;
      share.decided.push(this.#decide(item, now, submission.clock));
      submission.decided += 1;
    }
    return { ...share, isLast: true };
  }

  /** The first submission of a batch always has room, however large it is. */
  #hasRoom({ bytes }: QueuedInputs, decided: { inputs: number; bytes: number }): boolean {
    if (decided.inputs >= INPUTS_PER_COMMIT || this.#driver.partition.pendingCount >= ENTRIES_PER_COMMIT) return false;
    return decided.inputs === 0 || decided.bytes + bytes <= COMMIT_BYTES;
  }

  #decide(item: Delivered, now: number, clock: string): Decided {
    const { partition } = this.#driver;
    const index = partition.pendingCount;
    const at = clock === WALL ? now : 0;
    const taken =
      'malformed' in item
        ? partition.takeMalformed(item.malformed, at, clock)
        : partition.take(item.input, item.at, at, clock);
    return { taken, index: partition.pendingCount > index ? index : null };
  }

  /**
   * Fires the deadlines that fell due before the oldest waiting input arrived. That input was not there when they fell due, so
   * a queue that never runs empty cannot delay a deadline.
   */
  #fireDue(): void {
    const { partition } = this.#driver;
    const now = this.#time.now();
    const dueAt = partition.nextDueAt(WALL);
    if (dueAt === null || dueAt > now) return;
    const until = Math.min(now, this.#queue[0]?.arrivedAt ?? now, this.#gate?.takenUntil(dueAt) ?? now);
    if (dueAt > until) return;
    const count = partition.fire(until, WALL, TIMERS_PER_COMMIT);
    this.#observer.fired?.(count, now - dueAt);
  }

  /** Commits everything decided in this turn, then resolves the submissions that are complete. */
  async #commitAndAnswer(shares: readonly Share[]): Promise<void> {
    const entries = this.#driver.partition.pendingCount;
    this.#underWay += 1;
    this.#entriesUnderWay += entries;
    try {
      const head = await this.#commitInOrder(entries);
      const first = head === null ? 0 : head.sequence - entries + 1;
      for (const share of shares) answer(share, first);
    } catch (error) {
      this.#die(error, shares);
    } finally {
      this.#underWay -= 1;
      this.#entriesUnderWay -= entries;
      this.#wake();
    }
  }

  /** Returns the head after the commit; null if only duplicates were decided, once all earlier commits are durable. */
  async #commitInOrder(entries: number): Promise<Head | null> {
    const began = performance.now();
    const earlier = this.#newestCommit;
    const flushed = this.#driver.flush();
    // A flush without entries resolves at once, so waiting for the newest commit includes the earlier commits.
    this.#newestCommit = Promise.all([earlier, flushed]).catch(() => {});
    const head = await flushed;
    if (head !== null) {
      this.#observer.committed?.(entries, performance.now() - began);
      return head;
    }
    // The inputs repeated by these duplicates may not be durable yet (invariant 10).
    await earlier;
    if (this.#fault !== null) throw this.#fault;
    return null;
  }

  /** Ends the loop: the memory is ahead of the ledger, so no further input may be decided. */
  #die(error: unknown, shares: readonly Share[]): void {
    const first = this.#fault === null;
    this.#fault ??=
      error instanceof Fault
        ? error
        : new Fault('LEDGER_FAILED', 'the ledger could not be written', 'See the log.', error);
    this.#cancelAlarm?.();
    for (const { submission } of shares) submission.reject(this.#fault);
    for (const submission of this.#queue.splice(0)) submission.reject(this.#fault);
    this.#resolveIdle();
    if (first) this.#observer.died?.(this.#fault);
  }

  #resolveIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #setAlarm(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    const dueAt = this.#stopping ? null : this.#driver.partition.nextDueAt(WALL);
    // A deadline that the gate delays fires when the gate wakes the loop.
    const isHeldBack = dueAt !== null && dueAt <= this.#time.now() && (this.#gate?.takenUntil(dueAt) ?? dueAt) < dueAt;
    if (dueAt !== null && !isHeldBack)
      this.#cancelAlarm = this.#time.after(Math.max(0, dueAt - this.#time.now()), () => this.#wake());
  }
}

/** Stores the results of the committed items of a submission, and resolves the submission after its last item. */
function answer({ submission, decided, isLast }: Share, firstSequence: number): void {
  for (const { taken, index } of decided)
    submission.results.push({ taken, sequence: index === null ? null : firstSequence + index });
  if (isLast) submission.resolve(submission.results);
}
