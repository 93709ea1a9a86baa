import { Driver } from '../../engine/driver.ts';
import { PartitionLoop, type CommittedInput } from '../../engine/partition-loop.ts';
import type { Time } from '../../engine/time.ts';
import type { Directory } from '../../engine/partition/directory.ts';
import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Entry } from '../../events/entries.ts';
import { Fault, messageOf } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import { formatPosition, type Owner } from '../../log/port.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { openAttempts } from '../../projections/attempts.ts';
import { directory } from '../../projections/directory.ts';
import type { Reads } from '../reads/parts.ts';
import { Backlog } from './backlog.ts';
import * as engine from './engine.ts';
import { WorkQueue } from '../../producers/work-queue.ts';

/**
 * The ledger's one writer, kept alive: it claims the partition, runs it, and where a commit failed claims it anew until the
 * ledger can be written again. Reads go on meanwhile. What it hands out comes from committed entries only.
 */

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 5000;

/** The ledger's only partition, and what is looked up of it. */
export interface EngineLedger {
  /** What reads are answered from. */
  readonly parts: Reads;
  claim(): Promise<Owner>;
  directory(): Directory;
  openAttempts(): Iterable<{ readonly state: AttemptState }>;
  setHorizon(horizon: { seconds: number; count: number }): Promise<void>;
  close(): Promise<void>;
}

export function embedded(ledger: SqliteLedger): EngineLedger {
  const db = ledger.readConnection();
  return {
    parts: [{ partition: 0, ledger, db }],
    claim: () => ledger.claim(0),
    directory: () => directory(db),
    openAttempts: () => openAttempts(db),
    setHorizon: (horizon) => ledger.setHorizon(horizon),
    close: () => ledger.close(),
  };
}

/** What runs the partition from a claim on. */
export type Drive = (owner: Owner, directory: Directory) => Driver;

type State = { kind: 'ready'; loop: PartitionLoop } | { kind: 'down'; fault: Fault } | { kind: 'stopped' };

export class EmbeddedEngine implements engine.Engine {
  readonly parts: Reads;
  readonly workQueue = new WorkQueue();
  readonly #ledger: EngineLedger;
  readonly #time: Time;
  readonly #drive: Drive;
  readonly #observer: engine.EngineObserver;
  #state: State = { kind: 'down', fault: engine.notReady('starting') };
  /** When the ledger was last known to take commits. */
  #writableAt: number;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | null = null;
  #claiming: Promise<void> = Promise.resolve();
  readonly #backlog = new Backlog();
  #sequence = 0;

  constructor(
    ledger: EngineLedger,
    time: Time,
    observer: engine.EngineObserver = {},
    drive: Drive = (owner, past) => new Driver(owner, past),
  ) {
    this.#ledger = ledger;
    this.parts = ledger.parts;
    this.#time = time;
    this.#drive = drive;
    this.#observer = observer;
    this.#writableAt = time.now();
  }

  /** Claims the partition and takes its open deadlines up. @throws Fault where it cannot. */
  async start(): Promise<void> {
    await this.#claim();
  }

  get fault(): Fault | null {
    if (this.#state.kind === 'stopped') return engine.stopping();
    return this.#state.kind === 'ready' ? null : this.#state.fault;
  }

  /** How long the ledger has not taken anything: what is read may be as old. 0 while it does. */
  get ageMs(): number {
    return this.#state.kind === 'ready' ? 0 : this.#time.now() - this.#writableAt;
  }

  get position(): string {
    return formatPosition({ partition: 0, sequence: this.#sequence });
  }

  get waiting(): number {
    return this.#backlog.inputs;
  }

  hasRoom(bytes: number): boolean {
    return this.#backlog.hasRoom(1, bytes);
  }

  async submit(
    submissions: readonly engine.Submission[],
    { clock, bytes = 0 }: engine.Submitting = {},
  ): Promise<engine.Receipt[]> {
    const state = this.#state;
    if (state.kind === 'stopped') throw engine.stopping();
    if (state.kind === 'down') throw engine.notReady(state.fault.code, state.fault);
    const leave = this.#backlog.enter(submissions.length, bytes);
    try {
      const inputs = submissions.map(({ input }) => input);
      return (await state.loop.submit(inputs, clock)).map(receiptOf);
    } finally {
      leave();
    }
  }

  /** What was acknowledged can be read. */
  async reached(position: string): Promise<boolean> {
    return Number(/^0:(\d+)$/.exec(position)?.[1] ?? Number.POSITIVE_INFINITY) <= this.#sequence;
  }

  async stop(): Promise<void> {
    const before = this.#state;
    this.#state = { kind: 'stopped' };
    this.#cancelRetry?.();
    this.workQueue.close();
    await this.#claiming;
    // What a dying ledger refuses was told to those who waited for it.
    if (before.kind === 'ready') await before.loop.stop().catch(() => {});
    await this.#ledger.close();
  }

  get #isStopped(): boolean {
    return this.#state.kind === 'stopped';
  }

  async #claim(): Promise<void> {
    const owner = await this.#ledger.claim();
    if (this.#isStopped) return;
    this.#sequence = owner.claimedHead.sequence;
    const past = this.#ledger.directory();
    for (const [clock, ms] of past.times()) if (clock === WALL) this.#time.reach?.(ms);
    const driver = this.#drive(owner, past);
    this.workQueue.restore(statesOf(this.#ledger.openAttempts()));
    driver.onCommitted((entries, { sequence }) => {
      this.#sequence = sequence;
      this.#committed(entries, driver.partition.configuration);
    });
    await this.#keepHorizon(driver.partition.configuration);
    if (this.#isStopped) return;
    this.#observer.claimed?.();
    const loop = new PartitionLoop(driver, this.#time, { ...this.#observer, died: (fault) => this.#died(fault) });
    this.#state = { kind: 'ready', loop };
  }

  #committed(entries: readonly Entry[], configuration: Configuration): void {
    this.#retryMs = RETRY_MS_MIN;
    this.workQueue.committed(entries);
    this.#observer.entries?.(entries, true);
    if (entries.some((entry) => entry.configuration !== null)) void this.#keepHorizon(configuration).catch(() => {});
  }

  async #keepHorizon({ dedupHorizonSeconds, dedupHorizonCount }: Configuration): Promise<void> {
    await this.#ledger.setHorizon({ seconds: dedupHorizonSeconds, count: dedupHorizonCount });
  }

  #died(fault: Fault): void {
    if (this.#state.kind === 'stopped') return;
    if (this.#state.kind === 'ready') this.#writableAt = this.#time.now();
    this.#state = { kind: 'down', fault };
    this.#observer.died?.(fault);
    this.#retryLater();
  }

  /** The same again is not told again. */
  #downAgain(fault: Fault): void {
    const before = this.fault;
    this.#state = { kind: 'down', fault };
    if (before?.message !== fault.message) this.#observer.died?.(fault);
  }

  /** A claim commits, so one that succeeds has shown that the ledger takes commits again. */
  #retryLater(): void {
    this.#cancelRetry = this.#time.after(this.#retryMs, () => {
      this.#claiming = this.#claim().catch((error: unknown) => {
        if (this.#state.kind === 'stopped') return;
        this.#downAgain(error instanceof Fault ? error : engine.notReady(messageOf(error), error));
        this.#retryLater();
      });
    });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }
}

function* statesOf(open: Iterable<{ state: AttemptState }>): Generator<AttemptState> {
  for (const { state } of open) yield state;
}

function receiptOf({ taken, sequence }: CommittedInput): engine.Receipt {
  const position = sequence === null ? null : formatPosition({ partition: 0, sequence });
  return { outcome: taken.outcome, refusal: taken.outcome === 'refused' ? taken.refusal : null, position };
}
