import { Driver } from '../../engine/driver.ts';
import { type CommittedInput, PartitionLoop } from '../../engine/partition-loop.ts';
import { PartitionRunner, type Run } from '../../engine/partition-runner.ts';
import type { Time } from '../../engine/time.ts';
import type { Directory } from '../../log/directory.ts';
import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Entry } from '../../events/entries.ts';
import type { Fault } from '../../events/fault.ts';
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
 * The engine over an embedded ledger, which has one partition and this process as its only writer. Reads continue while the
 * ledger cannot be written.
 */

const RETRY_MS = { min: 250, max: 5000 };
/** The checkpoint that is committed after a failure. */
const PROBE = 'probe';

/** The ledger of one partition and its read model. */
export interface EngineLedger {
  /** The read connections of HTTP reads. */
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

/** Creates the driver of a claimed partition. */
export type MakeDriver = (owner: Owner, directory: Directory) => Driver;

type EmbeddedRun = Run & { readonly loop: PartitionLoop };

export class EmbeddedEngine implements engine.Engine {
  readonly parts: Reads;
  readonly workQueue = new WorkQueue();
  readonly #ledger: EngineLedger;
  readonly #time: Time;
  readonly #makeDriver: MakeDriver;
  readonly #observer: engine.EngineObserver;
  readonly #runner: PartitionRunner<EmbeddedRun>;
  readonly #backlog = new Backlog();
  #sequence = 0;
  /** True after a failure, until a commit has succeeded. */
  #mustProbe = false;

  constructor(
    ledger: EngineLedger,
    time: Time,
    observer: engine.EngineObserver = {},
    makeDriver: MakeDriver = (owner, past) => new Driver(owner, past),
  ) {
    this.#ledger = ledger;
    this.parts = ledger.parts;
    this.#time = time;
    this.#makeDriver = makeDriver;
    this.#observer = observer;
    this.#runner = new PartitionRunner({
      time,
      retryMs: RETRY_MS,
      claim: (fail, isStopped) => this.#claim(fail, isStopped),
      down: (fault) => {
        this.#mustProbe = true;
        this.#observer.died?.(fault);
      },
    });
  }

  /** Claims the partition and loads its open deadlines. @throws Fault LEDGER_… if the claim fails. */
  async start(): Promise<void> {
    await this.#runner.start();
  }

  get fault(): Fault | null {
    return this.#runner.isStopped ? engine.stopping() : this.#runner.fault;
  }

  /** How long the ledger has rejected writes, in milliseconds; 0 while it accepts them. Reads may be this old. */
  get ageMs(): number {
    return this.#runner.run === null ? this.#time.now() - this.#runner.downSince : 0;
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
    const { run, fault } = this.#runner;
    if (run === null) throw fault === null ? engine.stopping() : engine.notReady(fault.code, fault);
    const leave = this.#backlog.enter(submissions.length, bytes);
    try {
      const inputs = submissions.map(({ input }) => input);
      return (await run.loop.submit(inputs, clock)).map(receiptOf);
    } finally {
      leave();
    }
  }

  /** Every acknowledged position is readable at once, so this method never waits. */
  async reached(position: string): Promise<boolean> {
    return Number(/^0:(\d+)$/.exec(position)?.[1] ?? Number.POSITIVE_INFINITY) <= this.#sequence;
  }

  async stop(): Promise<void> {
    const stopped = this.#runner.stop();
    this.workQueue.close();
    await stopped;
    await this.#ledger.close();
  }

  async #claim(fail: (fault: Fault) => void, isStopped: () => boolean): Promise<EmbeddedRun | null> {
    const owner = await this.#ledger.claim();
    if (isStopped()) return release(owner);
    if (this.#mustProbe) await this.#probe(owner);
    this.#sequence = owner.claimedHead.sequence;
    const past = this.#ledger.directory();
    for (const [clock, ms] of past.times()) if (clock === WALL) this.#time.reach?.(ms);
    const driver = this.#makeDriver(owner, past);
    this.workQueue.restore(statesOf(this.#ledger.openAttempts()));
    driver.onCommitted((entries, { sequence }) => {
      this.#sequence = sequence;
      this.#publish(entries, driver.partition.configuration);
    });
    await this.#keepHorizon(driver.partition.configuration);
    if (isStopped()) return release(owner);
    this.#observer.claimed?.();
    const loop = new PartitionLoop(driver, this.#time, { ...this.#observer, died: fail });
    // A failed run has nothing to free. Inputs that a stop rejects are reported to their senders by the loop.
    return { loop, abandon: async () => {}, stop: () => loop.stop().catch(() => {}) };
  }

  /** Commits a checkpoint, because a claim alone does not show that the disk accepts writes again. @throws Fault LEDGER_…. */
  async #probe(owner: Owner): Promise<void> {
    await owner.commit({ entries: [], inputPositions: [], checkpoints: [{ key: PROBE, value: this.#time.now() }] });
    this.#mustProbe = false;
  }

  #publish(entries: readonly Entry[], configuration: Configuration): void {
    this.#runner.resetDelay();
    this.workQueue.committed(entries);
    this.#observer.entries?.(entries, true);
    if (entries.some((entry) => entry.configuration !== null)) void this.#keepHorizon(configuration).catch(() => {});
  }

  async #keepHorizon({ dedupHorizonSeconds, dedupHorizonCount }: Configuration): Promise<void> {
    await this.#ledger.setHorizon({ seconds: dedupHorizonSeconds, count: dedupHorizonCount });
  }
}

function* statesOf(open: Iterable<{ state: AttemptState }>): Generator<AttemptState> {
  for (const { state } of open) yield state;
}

function receiptOf({ taken, sequence }: CommittedInput): engine.Receipt {
  const position = sequence === null ? null : formatPosition({ partition: 0, sequence });
  return { outcome: taken.outcome, refusal: taken.outcome === 'refused' ? taken.refusal : null, position };
}

async function release(owner: Owner): Promise<null> {
  await owner.release();
  return null;
}
