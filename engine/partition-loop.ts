import { Fault } from '../events/fault.ts';
import type { Input } from '../events/inputs.ts';
import { WALL } from '../events/vocabulary.ts';
import type { Driver } from './driver.ts';
import type { Time } from './time.ts';
import type { InputPosition } from '../log/port.ts';
import type { Malformed, Taken } from './partition/partition.ts';

/**
 * Runs a driver day and night: inputs as they come, deadlines as they fall due, one commit for all that waits (group commit).
 * An input is acknowledged only when it is durable (invariant 10).
 *
 * Inputs go before deadlines: what was there when a deadline fell due is taken first, so that after a downtime or in a burst
 * no answer is overtaken by the end of its question.
 */

/** What became of a submitted input, once that is durable. `sequence` is its first entry's; null for a duplicate, which has none. */
export type CommittedInput = { taken: Taken; sequence: number | null };
/** What a stream delivers: an input with its place, or what was none. */
export type Delivered = { input: Input; at: InputPosition | null } | { malformed: Malformed };
/**
 * How far a log of inputs, which may hold more than was delivered, is known to have been taken. A deadline waits until the
 * inputs that were in the log when it fell due have been.
 */
export interface DeadlineGate {
  /** Everything that was in the log until this time has been taken. Where `wanted` is later, it comes back by `whenTaken`. */
  takenUntil(wanted: number): number;
}
export type LoopObserver = {
  /** A commit became durable: how many entries, and how long it took in milliseconds. */
  committed?: (entries: number, ms: number) => void;
  /** Timers fired: how long after its time the latest was. */
  fired?: (count: number, latenessMsMax: number) => void;
  /** It ended: called once, after everybody who waited was told. */
  died?: (fault: Fault) => void;
};

export const INPUTS_PER_COMMIT = 1024;
/** Of inputs, where their size is known: what is decided of them must fit into one transaction. */
export const COMMIT_BYTES = 4 * 1024 * 1024;
/** One input about a host writes an entry for each of its open attempts. */
const ENTRIES_PER_COMMIT = 2048;
/** However many commits may be under way: what they decided is in memory until it can be read. */
const ENTRIES_UNDER_WAY = 3 * ENTRIES_PER_COMMIT;
const TIMERS_PER_COMMIT = 1024;
const COMMITS_UNDER_WAY = 2;

export type LoopOptions = {
  readonly gate?: DeadlineGate;
  /** While so many are being written the next batch is worked out. */
  readonly commitsUnderWay?: number;
};

type Waiting = {
  items: readonly Delivered[];
  /** How many of them were taken, and what became of those that are durable. */
  taken: number;
  receipts: CommittedInput[];
  clock: string;
  bytes: number;
  /** Deadlines that fell due later wait for it. */
  arrivedAt: number;
  onTaken?: () => void;
  resolve: (receipts: CommittedInput[]) => void;
  reject: (error: unknown) => void;
};
/** What one commit has of a submission. */
type Answer = { waiting: Waiting; taken: { taken: Taken; index: number | null }[]; isLast: boolean };

export class PartitionLoop {
  readonly #driver: Driver;
  readonly #time: Time;
  readonly #observer: LoopObserver;
  readonly #gate: DeadlineGate | null;
  readonly #commitsUnderWay: number;
  #queue: Waiting[] = [];
  #underWay = 0;
  #entriesUnderWay = 0;
  /** Ends with the newest commit: a duplicate of an input that is still being written waits for it. */
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

  /** What ended it; null while it runs. After that the partition must be claimed anew. */
  get fault(): Fault | null {
    return this.#fault;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Takes inputs together, in order. Resolves when all of them are durable. An operator's word on an attempt of a recording
   * belongs to the recording's clock. @throws Fault where they are not durable.
   */
  submit(inputs: readonly Input[], clock = WALL): Promise<CommittedInput[]> {
    const items = inputs.map((input) => ({ input, at: null }));
    return this.#enqueue({ items, clock, bytes: 0, arrivedAt: this.#time.now() });
  }

  /**
   * Takes what a log delivered, in order. Resolves when it is durable. Whether deadlines wait for it is the gate's to say.
   * @throws Fault where it is not durable: the log delivers it again.
   */
  deliver(items: readonly Delivered[], bytes = 0): Promise<CommittedInput[]> {
    return this.#enqueue({ items, clock: WALL, bytes, arrivedAt: Number.POSITIVE_INFINITY });
  }

  /** Calls back when all that was delivered before has been taken, in the same turn in which deadlines are looked at. */
  whenTaken(callback: () => void): void {
    const entry = { items: [], clock: WALL, bytes: 0, arrivedAt: Number.POSITIVE_INFINITY, onTaken: callback };
    this.#enqueue(entry).catch(() => {});
  }

  #enqueue(waiting: Omit<Waiting, 'taken' | 'receipts' | 'resolve' | 'reject'>): Promise<CommittedInput[]> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    if (this.#stopping)
      return Promise.reject(new Fault('STOPPING', 'the service is stopping', 'Send it again when it is back.'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...waiting, taken: 0, receipts: [], resolve, reject });
      this.#wake();
    });
  }

  /** Its owner has ended: whoever waits is told, and no deadline is waited for. */
  end(fault: Fault): void {
    this.#die(fault, []);
  }

  /** Takes nothing more, and returns when everything taken is durable. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelAlarm?.();
    if (this.#queue.length > 0 || this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#fault === null) await this.#driver.release();
  }

  /** One turn of the loop soon: after the callbacks that are at hand, so that what arrives together is committed together. */
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
    const answers: Answer[] = [];
    try {
      this.#takeQueued(answers);
      this.#fireDue();
    } catch (error) {
      // Half a decision is in memory: it must not be committed, and who waits for it is told.
      return this.#die(error, answers);
    }
    if (answers.length > 0 || this.#driver.partition.pendingCount > 0) void this.#commit(answers);
    this.#setAlarm();
    if (this.#queue.length > 0) this.#wake();
    else if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  get #isBusy(): boolean {
    return this.#underWay >= this.#commitsUnderWay || this.#entriesUnderWay >= ENTRIES_UNDER_WAY;
  }

  #takeQueued(answers: Answer[]): void {
    const now = this.#time.now();
    const taken = { inputs: 0, bytes: 0 };
    let index = 0;
    for (
      let waiting = this.#queue[0];
      waiting !== undefined && this.#hasRoom(waiting, taken);
      waiting = this.#queue[index]
    ) {
      const answer = this.#takeFrom(waiting, now);
      answers.push(answer);
      if (!answer.isLast) break;
      index += 1;
      taken.inputs += waiting.items.length;
      taken.bytes += waiting.bytes;
      waiting.onTaken?.();
    }
    this.#queue = this.#queue.slice(index);
  }

  /** One input may touch any number of attempts: what its submission has left then goes into the next commit. */
  #takeFrom(waiting: Waiting, now: number): Answer {
    const answer: Answer = { waiting, taken: [], isLast: false };
    for (const item of waiting.items.slice(waiting.taken)) {
      if (answer.taken.length > 0 && this.#driver.partition.pendingCount >= ENTRIES_PER_COMMIT) return answer;
      answer.taken.push(this.#takeOne(item, now, waiting.clock));
      waiting.taken += 1;
    }
    return { ...answer, isLast: true };
  }

  /** What comes first is always taken: alone it is as large as it is. */
  #hasRoom({ bytes }: Waiting, taken: { inputs: number; bytes: number }): boolean {
    if (taken.inputs >= INPUTS_PER_COMMIT || this.#driver.partition.pendingCount >= ENTRIES_PER_COMMIT) return false;
    return taken.inputs === 0 || taken.bytes + bytes <= COMMIT_BYTES;
  }

  #takeOne(item: Delivered, now: number, clock: string): { taken: Taken; index: number | null } {
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
   * Fires what fell due before the oldest input that still waits had arrived: the inputs that were there then are taken, and
   * a load that never lets the queue run empty holds no deadline back.
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

  async #commit(answers: readonly Answer[]): Promise<void> {
    const entries = this.#driver.partition.pendingCount;
    const began = performance.now();
    this.#underWay += 1;
    this.#entriesUnderWay += entries;
    try {
      const earlier = this.#newestCommit;
      const flushed = this.#driver.flush();
      // Together: one that writes nothing ends at once, and what came before it may not have.
      this.#newestCommit = Promise.all([earlier, flushed]).catch(() => {});
      const head = await flushed;
      // Nothing was written, so all are duplicates: of inputs that may still be on their way to the disk (invariant 10).
      if (head === null) {
        await earlier;
        if (this.#fault !== null) throw this.#fault;
      } else this.#observer.committed?.(entries, performance.now() - began);
      const first = head === null ? 0 : head.sequence - entries + 1;
      for (const { waiting, taken, isLast } of answers) {
        for (const { taken: outcome, index } of taken)
          waiting.receipts.push({ taken: outcome, sequence: index === null ? null : first + index });
        if (isLast) waiting.resolve(waiting.receipts);
      }
    } catch (error) {
      this.#die(error, answers);
    } finally {
      this.#underWay -= 1;
      this.#entriesUnderWay -= entries;
      this.#wake();
    }
  }

  /** The ledger refused: its memory is ahead of what is durable, so nothing more is taken. */
  #die(error: unknown, answers: readonly Answer[]): void {
    const first = this.#fault === null;
    this.#fault ??=
      error instanceof Fault
        ? error
        : new Fault('LEDGER_FAILED', 'the ledger could not be written', 'See the log.', error);
    this.#cancelAlarm?.();
    for (const { waiting } of answers) waiting.reject(this.#fault);
    for (const waiting of this.#queue.splice(0)) waiting.reject(this.#fault);
    for (const resolve of this.#idle.splice(0)) resolve();
    if (first) this.#observer.died?.(this.#fault);
  }

  #setAlarm(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    const dueAt = this.#stopping ? null : this.#driver.partition.nextDueAt(WALL);
    // What the gate holds back fires when the gate says so.
    const isHeldBack = dueAt !== null && dueAt <= this.#time.now() && (this.#gate?.takenUntil(dueAt) ?? dueAt) < dueAt;
    if (dueAt !== null && !isHeldBack)
      this.#cancelAlarm = this.#time.after(Math.max(0, dueAt - this.#time.now()), () => this.#wake());
  }
}
