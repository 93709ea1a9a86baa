import { Driver } from '../../../consumers/driver.ts';
import type { Directory } from '../../../consumers/partition/directory.ts';
import type { Command, Question } from '../../../events/commands.ts';
import { toInput } from '../../../events/cloud-event.ts';
import type { Input } from '../../../events/inputs.ts';
import { sha256 } from '../../../log/chain.ts';
import type { Batch, Head, Owner, StoredEntry } from '../../../log/port.ts';
import { toCommand } from '../../../machines/effects.ts';
import { Dispatcher, unanswered } from '../../../producers/dispatcher.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';
import type { Letter } from '../world/outbox.ts';
import { EPOCH, type Sim } from '../world/sim.ts';

class DiskFull extends Error {}

/** Something the partition was told, so that a run can be repeated in other batches. */
export type Operation = { readonly now: number; readonly input: Input | null };

/** What the service is wired to. The `damage` functions switch safety rules off, for the test that the checker notices. */
export type Wiring = {
  readonly ask: (question: Question) => void;
  readonly send: (command: Command, from: 'commit' | 'restart') => void;
  readonly committed: (entries: readonly StoredEntry[], service: Service) => void;
  readonly refused: (letter: Letter, code: string) => void;
  readonly damage?: Damage;
  /** False: the run is too long to be repeated. */
  readonly records?: boolean;
};
export type Damage = {
  /** A directory that remembers wrongly. */
  readonly directory?: (directory: Directory, now: number) => Directory;
  /** An identity that is not recognised again. */
  readonly forgetsIdentities?: boolean;
  /** At a start all commands of the ledger are sent. */
  readonly replaySends?: boolean;
};

/**
 * Landfall under test: the real driver, partition and dispatcher on a ledger in memory, killed at any commit and started anew
 * from what was committed. Its producers repeat what was not acknowledged.
 */
export class Service {
  readonly ledger: MemoryLedger;
  /** Everything the partition was told, where it is to be repeated. */
  readonly operations: Operation[][] = [];
  readonly clock: string;
  restarts = 0;
  /** When its clock last jumped forward, in true time. */
  steppedForwardAt = Number.NEGATIVE_INFINITY;
  readonly #sim: Sim;
  readonly #wiring: Wiring;
  readonly #whenDurable = new Map<string, () => void>();
  #driver: Driver | null = null;
  #queue: { letter: Letter; input: Input }[] = [];
  #scheduled = false;
  #alarm = 0;
  #skewMs = 0;

  constructor(sim: Sim, wiring: Wiring) {
    this.#sim = sim;
    this.#wiring = wiring;
    this.clock = `simulated:${sim.seed}`;
    this.ledger = new MemoryLedger(...(wiring.records === false ? (['frugal'] as const) : []));
  }

  get now(): number {
    return EPOCH + this.#sim.now + this.#skewMs;
  }

  /** What the running partition holds, as text; null while the service is down. */
  get live(): string[] | null {
    return this.#driver === null
      ? null
      : [...this.#driver.partition.openAttempts()].map((state) => JSON.stringify(state)).toSorted();
  }

  get idle(): boolean {
    return this.#driver !== null && this.#queue.length === 0;
  }

  async start(): Promise<void> {
    const owner = await this.ledger.claim();
    const directory = this.#wiring.damage?.directory?.(this.ledger, this.now) ?? this.ledger;
    const driver = new Driver(this.#guarded(owner), directory);
    driver.onCommitted((entries) => this.#commit(driver, entries.length));
    if (driver.partition.pendingCount > 0)
      this.#sim.violate('invariant 9', 'building the partition anew decided something');
    this.#driver = driver;
    if (this.ledger.stored.length > 0) await this.#sendAgain();
    this.#wake();
  }

  /** The disk is full now and then; and a damaged service forgets what it consumed. */
  #guarded(owner: Owner): Owner {
    return {
      ...owner,
      recall: (identities) =>
        this.#wiring.damage?.forgetsIdentities === true ? identities.map(() => null) : owner.recall(identities),
      commit: async (batch: Batch): Promise<Head> => {
        if (this.#sim.fault('disk-error', 0.01)) throw new DiskFull('simulated: no space left on device');
        return owner.commit(batch);
      },
    };
  }

  /** Open questions and commands under way are sent again; what is done is not. */
  async #sendAgain(): Promise<void> {
    for (const question of await unanswered(this.ledger.read(0, 1), this.clock)) this.#wiring.ask(question);
    for (const { state } of this.ledger.openAttempts()) {
      const { attempt } = state;
      const verdict = attempt.verdicts.at(-1);
      if (verdict === undefined) continue;
      const underWay = attempt.steps.filter((step) => step.status === 'sent' && step.kind !== 'ask-origin');
      for (const step of underWay) this.#wiring.send(toCommand(attempt, verdict, step), 'restart');
    }
    if (this.#wiring.damage?.replaySends !== true) return;
    for (const { commands } of this.ledger.entries)
      for (const command of commands) this.#wiring.send(command, 'restart');
  }

  deliver(letter: Letter): void {
    const event = { specversion: '1.0', id: letter.id, source: letter.source, type: letter.type, data: letter.data };
    const input = toInput(letter.vm === null ? event : { ...event, subject: letter.vm }, sha256);
    this.#queue.push({ letter, input });
    this.#wake();
  }

  /** Calls back once the letter is in the ledger. */
  whenDurable({ source, id }: Pick<Letter, 'source' | 'id'>, run: () => void): void {
    this.#whenDurable.set(`${source}\n${id}`, run);
  }

  stepClock(ms: number): void {
    this.#sim.trace(() => `the service’s clock steps by ${ms} ms`);
    this.#skewMs += ms;
    if (ms > 0) this.steppedForwardAt = this.#sim.now;
    this.#setAlarm();
  }

  #wake(): void {
    if (this.#scheduled || this.#driver === null) return;
    this.#scheduled = true;
    this.#sim.after(this.#sim.random('service').integer(0, 8), async () => {
      this.#scheduled = false;
      await this.#turn();
    });
  }

  /** Inputs first, then what is due, then one commit for all of it. */
  async #turn(): Promise<void> {
    const driver = this.#driver;
    if (driver === null) return;
    const { now } = this;
    const taken = this.#queue;
    const operations: Operation[] = taken.map(({ input }) => ({ now, input }));
    const refusals: { letter: Letter; code: string }[] = [];
    for (const { letter, input } of taken) {
      const { refusal } = driver.take(input, now, this.clock);
      if (refusal !== null) refusals.push({ letter, code: refusal.code });
    }
    if (driver.partition.fire(now, this.clock) > 0) operations.push({ now, input: null });
    if (this.#sim.fault('service-crash', 0.008)) return this.#crash('before a commit');
    try {
      await driver.flush();
    } catch (error) {
      if (!(error instanceof DiskFull)) throw error;
      return this.#crash(error.message);
    }
    this.#queue = this.#queue.slice(taken.length);
    if (operations.length > 0 && this.#wiring.records !== false) this.operations.push(operations);
    for (const { letter } of taken) this.#acknowledge(letter);
    for (const { letter, code } of refusals) this.#wiring.refused(letter, code);
    if (this.#queue.length > 0) this.#wake();
    this.#setAlarm();
  }

  #acknowledge({ source, id }: Letter): void {
    const key = `${source}\n${id}`;
    const run = this.#whenDurable.get(key);
    this.#whenDurable.delete(key);
    run?.();
  }

  /** Durable: the checker looks, and unless it is killed here, questions and commands go out. */
  #commit(driver: Driver, count: number): void {
    const stored = count === 0 ? [] : this.ledger.stored.slice(-count);
    for (const { entry, sequence } of stored)
      this.#sim.trace(
        () =>
          `  #${sequence} ${entry.cause.kind === 'timer' ? entry.cause.timer : entry.cause.id} → ${JSON.stringify(entry.attempt?.value ?? null)}${entry.refusal === null ? '' : ` refused: ${entry.refusal.code}`}`,
      );
    this.#wiring.committed(stored, this);
    if (this.#sim.fault('service-crash', 0.008)) return this.#crash('after a commit');
    if (driver !== this.#driver) return;
    const dispatcher = new Dispatcher({
      ask: this.#wiring.ask,
      send: (command) => this.#wiring.send(command, 'commit'),
    });
    dispatcher.committed(stored.map(({ entry }) => entry));
  }

  /** What the partition holds in memory, in bytes: the process is killed for it. Null where it is down. */
  weigh(usedBytes: () => number): { bytes: number; open: number } | null {
    if (this.#driver === null) return null;
    const open = this.#driver.partition.openCount;
    const before = usedBytes();
    this.#crash('to be weighed');
    return { bytes: before - usedBytes(), open };
  }

  /** Everything that was not committed is gone. */
  #crash(why: string): void {
    if (this.#driver === null) return;
    this.#sim.trace(() => `the service is killed (${why})`);
    this.#driver = null;
    this.restarts += 1;
    this.#alarm += 1;
    this.#sim.after(this.#sim.random('service').integer(50, 20_000), () => this.start());
  }

  #setAlarm(): void {
    this.#alarm += 1;
    const alarm = this.#alarm;
    const dueAt = this.#driver?.partition.nextDueAt(this.clock) ?? null;
    if (dueAt === null) return;
    this.#sim.schedule.at(dueAt - EPOCH - this.#skewMs, () => {
      if (alarm === this.#alarm) this.#wake();
    });
  }
}
