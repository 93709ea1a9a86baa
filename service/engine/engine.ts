import type { DatabaseSync } from 'node:sqlite';
import { Driver } from '../../consumers/driver.ts';
import { Live, type LiveObserver, type Receipt, type Time } from '../../consumers/live.ts';
import type { AttemptState } from '../../events/attempt.ts';
import type { Configuration } from '../../events/configuration.ts';
import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import type { Input } from '../../events/inputs.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { openAttempts } from '../../projections/attempts.ts';
import { directory } from '../../projections/directory.ts';
import { Outbox } from './outbox.ts';

/**
 * The ledger's one writer, kept alive: it claims the partition, runs it, and where a commit failed claims it anew until the
 * ledger can be written again. Reads go on meanwhile. What it hands out comes from committed entries only.
 */

export type EngineObserver = LiveObserver & {
  /** Entries became durable. */
  entries?: (entries: readonly Entry[]) => void;
  /** The partition was claimed: what is known of it was read anew. */
  claimed?: () => void;
};

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 5000;
/** Inputs that may wait for their commit. More are refused, so that a burst costs no more memory than this. */
const WAITING_MAX = 20_000;

type State = { kind: 'ready'; live: Live; driver: Driver } | { kind: 'down'; fault: Fault } | { kind: 'stopped' };

export class Engine {
  readonly ledger: SqliteLedger;
  /** Reads of the projections: they see committed entries only, and never wait for a commit. */
  readonly db: DatabaseSync;
  readonly outbox = new Outbox();
  readonly #time: Time;
  readonly #observer: EngineObserver;
  #state: State = { kind: 'down', fault: notReady('starting') };
  /** When the ledger was last known to take commits. */
  #writableAt: number;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | null = null;
  #claiming: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(ledger: SqliteLedger, time: Time, observer: EngineObserver = {}) {
    this.ledger = ledger;
    this.db = ledger.readConnection();
    this.#time = time;
    this.#observer = observer;
    this.#writableAt = time.now();
  }

  /** Claims the partition and takes its open deadlines up. @throws Fault where it cannot. */
  async start(): Promise<void> {
    await this.#claim();
  }

  /** Why nothing can be decided just now; null: it can. */
  get fault(): Fault | null {
    if (this.#state.kind === 'stopped') return stopping();
    return this.#state.kind === 'ready' ? null : this.#state.fault;
  }

  /** How long the ledger has not taken anything: what is read may be as old. 0 while it does. */
  get ageMs(): number {
    return this.#state.kind === 'ready' ? 0 : this.#time.now() - this.#writableAt;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Takes inputs; resolves once they are durable. @throws Fault NOT_READY, OVERLOADED, STOPPING, LEDGER_… */
  async submit(inputs: readonly Input[], clock?: string): Promise<Receipt[]> {
    const state = this.#state;
    if (state.kind === 'stopped') throw stopping();
    if (state.kind === 'down') throw notReady(state.fault.code, state.fault);
    if (this.#waiting > 0 && this.#waiting + inputs.length > WAITING_MAX) throw overloaded();
    this.#waiting += inputs.length;
    try {
      return await state.live.submit(inputs, clock);
    } finally {
      this.#waiting -= inputs.length;
    }
  }

  /** Takes nothing more; returns once what was taken is durable and the ledger is closed. */
  async stop(): Promise<void> {
    const before = this.#state;
    this.#state = { kind: 'stopped' };
    this.#cancelRetry?.();
    this.outbox.close();
    await this.#claiming;
    // What a dying ledger refuses was told to those who waited for it.
    if (before.kind === 'ready') await before.live.stop().catch(() => {});
    await this.ledger.close();
  }

  async #claim(): Promise<void> {
    const owner = await this.ledger.claim(0);
    if (this.#state.kind === 'stopped') return;
    const driver = new Driver(owner, directory(this.db));
    this.outbox.restore(statesOf(openAttempts(this.db)));
    driver.onCommitted((entries) => this.#committed(entries, driver.partition.configuration));
    await this.#keepHorizon(driver.partition.configuration);
    this.#observer.claimed?.();
    const live = new Live(driver, this.#time, { ...this.#observer, died: (fault) => this.#died(fault) });
    this.#state = { kind: 'ready', live, driver };
  }

  #committed(entries: readonly Entry[], configuration: Configuration): void {
    this.#retryMs = RETRY_MS_MIN;
    this.outbox.committed(entries);
    this.#observer.entries?.(entries);
    if (entries.some((entry) => entry.configuration !== null)) void this.#keepHorizon(configuration).catch(() => {});
  }

  async #keepHorizon({ dedupHorizonSeconds, dedupHorizonCount }: Configuration): Promise<void> {
    await this.ledger.setHorizon({ seconds: dedupHorizonSeconds, count: dedupHorizonCount });
  }

  #died(fault: Fault): void {
    if (this.#state.kind === 'stopped') return;
    if (this.#state.kind === 'ready') this.#writableAt = this.#time.now();
    this.#state = { kind: 'down', fault };
    this.#observer.died?.(fault);
    this.#retryLater();
  }

  /** A claim commits, so one that succeeds has shown that the ledger takes commits again. */
  #retryLater(): void {
    this.#cancelRetry = this.#time.after(this.#retryMs, () => {
      this.#claiming = this.#claim().catch((error: unknown) => {
        if (this.#state.kind === 'stopped') return;
        if (error instanceof Fault) this.#state = { kind: 'down', fault: error };
        this.#retryLater();
      });
    });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }
}

function* statesOf(open: Iterable<{ state: AttemptState }>): Generator<AttemptState> {
  for (const { state } of open) yield state;
}

function notReady(why: string, cause?: Fault): Fault {
  return new Fault('NOT_READY', `nothing can be taken just now (${why})`, 'Send it again when /readyz says so.', cause);
}

const stopping = () => new Fault('STOPPING', 'the service is stopping', 'Send it again when it is back.');
const overloaded = () =>
  new Fault('OVERLOADED', 'more inputs wait for their commit than are allowed', 'Send fewer at once, and try again.');
