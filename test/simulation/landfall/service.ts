import { Driver } from '../../../engine/driver.ts';
import type { Partition } from '../../../engine/partition/partition.ts';
import type { AttemptState } from '../../../events/attempt.ts';
import type { Batch, StoredEntry } from '../../../log/port.ts';
import { Agents } from '../../../service/engine/agents.ts';
import { EmbeddedEngine } from '../../../service/engine/embedded.ts';
import { type Receipt, type Submission, submissionOf } from '../../../service/engine/engine.ts';
import type { WorkQueue, Recipient, WorkItem } from '../../../producers/work-queue.ts';
import { watchAgents } from '../../../service/watch/watchers.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';
import type { Letter } from '../world/outbox.ts';
import type { Sim } from '../world/sim.ts';
import { Connection, type LedgerDamage } from './connection.ts';
import { Life } from './life.ts';
import { type Operation, Recorder } from './recorder.ts';

/** The commit of the world, counted from 1, at which the service is killed. */
export type KillAt = { readonly commit: number; readonly when: 'before' | 'after' };

/** Switches safety rules off, for the tests of the checker. */
export type Damage = LedgerDamage & {
  /** Modifies the running partition. */
  readonly partition?: (partition: Partition, now: () => number) => void;
};

export type Wiring = {
  /** @param decidedAt true time in milliseconds. */
  readonly committed: (stored: readonly StoredEntry[], decidedAt: number) => void;
  /** The process knows the result of every commit so far. */
  readonly quiet: () => void;
  readonly handedOut: (item: WorkItem) => void;
  readonly submitted: (letters: readonly Letter[]) => void;
  readonly rejected: (letters: readonly Letter[]) => void;
  readonly damage?: Damage;
  /** False for a run that is too long to be replayed. */
  readonly records?: boolean;
  readonly killAt?: KillAt;
  readonly agentSilentMs: number;
};

/** The parameters of a long poll: cursor, maximum number of items, and wait time. */
export type Ask = { readonly after: string | null; readonly limit: number; readonly waitMs: number };
export type Work = { readonly items: readonly WorkItem[]; readonly next: string };

const REFUSED = new Error('connection refused');
const RESET = new Error('connection reset');

/** One run of the service's process. */
type Process = {
  readonly run: string;
  readonly life: Life;
  readonly connection: Connection;
  readonly engine: EmbeddedEngine;
  readonly agents: Agents;
  partition: Partition | null;
};

/**
 * The Landfall service under test: the embedded engine with its loop, work queue and agent watch, on a disk that outlives the
 * process. The process may be killed and restarted at any commit or in between.
 */
export class Service {
  readonly ledger: MemoryLedger;
  /** The state of the attempts in the running process. */
  readonly known = new Map<string, AttemptState>();
  restarts = 0;
  commits = 0;
  /** The times of the last change of the service's clock and of its last jump forward, in true time. */
  steppedAt = Number.NEGATIVE_INFINITY;
  steppedForwardAt = Number.NEGATIVE_INFINITY;
  readonly #sim: Sim;
  readonly #wiring: Wiring;
  readonly #recorder = new Recorder();
  readonly #decidedAt = new WeakMap<Batch, number>();
  readonly #parsed = new WeakMap<Letter, Submission>();
  #process: Process | null = null;
  #runs = 0;
  #occurrences = 0;
  #skewMs = 0;

  constructor(sim: Sim, wiring: Wiring) {
    this.#sim = sim;
    this.#wiring = wiring;
    this.ledger = new MemoryLedger(...(wiring.records === false ? (['frugal'] as const) : []));
  }

  /** The inputs and deadlines of the partitions that are in the ledger. */
  get operations(): readonly Operation[] {
    return this.#recorder.durable;
  }

  /** The state of the running partition as text; null while the service is down. */
  get live(): string[] | null {
    const partition = this.#ready?.partition ?? null;
    return partition === null ? null : [...partition.openAttempts()].map((state) => JSON.stringify(state)).toSorted();
  }

  /** The work that the running process hands out; null while the service is down. */
  get workQueue(): WorkQueue | null {
    return this.#ready?.engine.workQueue ?? null;
  }

  get isReady(): boolean {
    return this.#ready !== null;
  }

  /** True if all decisions of the running process are in the ledger and the process knows that. */
  get isQuiet(): boolean {
    const ready = this.#ready;
    return ready !== null && ready.connection.isQuiet && ready.partition?.pendingCount === 0;
  }

  get #ready(): Process | null {
    return this.#process?.engine.fault === null ? this.#process : null;
  }

  start(): void {
    this.#runs += 1;
    const life = new Life(this.#sim, () => this.#skewMs);
    const connection = new Connection(this.#sim, this.ledger, life, this.#commitWitness(), this.#wiring.damage ?? {});
    const engine = new EmbeddedEngine(connection, life, this.#observer(), (owner, directory) => {
      const driver = new Driver(owner, directory);
      this.#listen(driver.partition, life);
      return driver;
    });
    const { agentSilentMs } = this.#wiring;
    const agents = new Agents(
      agentSilentMs,
      () => life.now(),
      () => String((this.#occurrences += 1)),
    );
    this.#process = { run: String(this.#runs), life, connection, engine, agents, partition: null };
    this.#sim.schedule.unsettled();
    engine.start().then(
      () => {
        if (!life.isOver) watchAgents({ engine, agents, time: life, logger: { warn: () => {} } }, () => this.#hosts());
      },
      () => {
        if (!life.isOver) this.kill('it cannot start');
      },
    );
  }

  #hosts() {
    return [...this.ledger.hosts()].toSorted((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** Claims the partition. The claimed attempts are the process's first state. */
  #listen(partition: Partition, life: Life): void {
    if (partition.pendingCount > 0) this.#sim.violate('invariant 9', 'rebuilding the partition made a decision');
    this.#wiring.damage?.partition?.(partition, () => life.now());
    if (this.#wiring.records !== false) this.#recorder.listen(partition);
    if (this.#process !== null) this.#process.partition = partition;
    this.known.clear();
    for (const { state } of this.ledger.openAttempts()) this.known.set(state.attempt.migration, state);
  }

  #observer() {
    let told = 0;
    return {
      entries: (entries: readonly { readonly attempt: AttemptState | null }[]) => {
        for (const { attempt } of entries) if (attempt !== null) this.known.set(attempt.attempt.migration, attempt);
        told += 1;
        // Waits until the results of the other inputs in the same commit are delivered.
        if (told % 8 === 0) this.#process?.life.after(0, () => this.#wiring.quiet());
      },
      claimed: () => this.#process?.agents.forgetReports(),
    };
  }

  #commitWitness() {
    return {
      called: (batch: Batch) => {
        this.commits += 1;
        this.#decidedAt.set(batch, this.#sim.now);
        if (this.#isKilledAt('before')) this.kill('before a commit');
      },
      durable: (batch: Batch, stored: readonly StoredEntry[]) => {
        this.#recorder.keep(batch);
        for (const one of stored) this.#sim.trace(() => described(one));
        this.#wiring.committed(stored, this.#decidedAt.get(batch) ?? this.#sim.now);
      },
      unacknowledged: () => {
        if (this.#isKilledAt('after')) this.kill('after a commit');
      },
    };
  }

  #isKilledAt(when: KillAt['when']): boolean {
    const { killAt } = this.#wiring;
    if (killAt === undefined) return this.#sim.fault('service-crash', 0.008);
    // A commit may be joined with the next commit, or be refused.
    const isThere = when === 'before' ? killAt.commit === this.commits : killAt.commit <= this.commits;
    return killAt.when === when && isThere && this.restarts === 0;
  }

  /** Parses an input once, even if it is sent repeatedly. */
  #submission(letter: Letter): Submission {
    const known = this.#parsed.get(letter);
    if (known !== undefined) return known;
    const { id, source, type, vm, data } = letter;
    const event = { specversion: '1.0', id, source, type, data };
    const submission = submissionOf(vm === null ? event : { ...event, subject: vm });
    this.#parsed.set(letter, submission);
    return submission;
  }

  /** Resolves when all inputs are durable; rejects if their durability is unknown. */
  submit(letters: readonly Letter[]): Promise<Receipt[]> {
    const process = this.#process;
    if (process === null) return Promise.reject(REFUSED);
    const { engine, life } = process;
    this.#wiring.submitted(letters);
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => {
        this.#wiring.rejected(letters);
        reject(error);
      };
      const cancel = life.whenKilled(() => refuse(RESET));
      engine.submit(letters.map((letter) => this.#submission(letter))).then(
        (receipts) => {
          cancel();
          resolve(receipts);
        },
        (error: unknown) => {
          cancel();
          refuse(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  /**
   * Answers a long poll as the service does over HTTP. `reply` receives null if the connection breaks. Returns a function that
   * closes the connection.
   */
  poll(recipient: Recipient, { after, limit, waitMs }: Ask, reply: (work: Work | null) => void): () => void {
    const process = this.#process;
    if (process === null || process.engine.workQueue.isClosed) {
      reply(null);
      return () => {};
    }
    const { workQueue } = process.engine;
    const isAgent = typeof recipient === 'string';
    if (isAgent) process.agents.asks(recipient);
    const patienceMs = isAgent ? Math.min(waitMs, process.agents.waitMsMax) : waitMs;
    const [run, number] = (after ?? '').split('.');
    // A cursor of an earlier run is ignored.
    const from = run === process.run ? Number(number) : 0;
    const ends: (() => void)[] = [];
    const end = () => ends.splice(0).forEach((cancel) => cancel());
    ends.push(
      process.life.whenKilled(() => {
        end();
        reply(null);
      }),
    );
    const answer = () => {
      if (ends.length === 0) return;
      end();
      const found = workQueue.itemsAfter(recipient, from, limit);
      const items = found.map(({ item }) => item);
      for (const item of items) this.#wiring.handedOut(item);
      reply({ items, next: `${process.run}.${found.at(-1)?.number ?? from}` });
    };
    if (workQueue.itemsAfter(recipient, from, 1).length > 0) answer();
    else {
      ends.push(workQueue.onceAvailable(recipient, () => process.life.after(0, answer)));
      ends.push(process.life.after(patienceMs, answer));
    }
    return end;
  }

  stepClock(ms: number): void {
    this.#sim.trace(() => `the service’s clock steps by ${ms} ms`);
    this.#skewMs += ms;
    this.steppedAt = this.#sim.now;
    if (ms > 0) this.steppedForwardAt = this.#sim.now;
  }

  /** The time on the service's clock, in milliseconds. */
  get now(): number {
    return this.#process?.life.now() ?? 0;
  }

  /** Returns the memory of the process in bytes; null while it is down. The measurement kills the process. */
  weigh(usedBytes: () => number): { bytes: number; open: number } | null {
    const partition = this.#ready?.partition ?? null;
    if (partition === null) return null;
    const open = partition.openCount;
    const before = usedBytes();
    this.kill('to be weighed');
    return { bytes: before - usedBytes(), open };
  }

  /** Kills the process. Uncommitted state is lost. */
  kill(why: string): void {
    const process = this.#process;
    if (process === null) return;
    this.#sim.trace(() => `the service is killed (${why})`);
    this.#process = null;
    this.restarts += 1;
    process.life.kill();
    this.#sim.after(this.#sim.random('service').integer(50, 20_000), () => this.start());
  }

  /** Stops the process in order and starts it again. */
  restart(): void {
    const process = this.#ready;
    if (process === null) return;
    this.#sim.trace(() => 'the service is stopped');
    process.engine.workQueue.close();
    void process.engine.stop().then(() => {
      if (!process.life.isOver) this.kill('it has stopped');
    });
    this.#sim.schedule.unsettled();
  }
}

function described({ entry, sequence }: StoredEntry): string {
  const { cause, attempt, refusal } = entry;
  const what = cause.kind === 'timer' ? cause.timer : cause.id;
  return `  #${sequence} ${what} → ${JSON.stringify(attempt?.value ?? null)}${refusal === null ? '' : ` refused: ${refusal.code}`}`;
}
