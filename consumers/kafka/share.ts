import type { Entry } from '../../events/entries.ts';
import { Fault } from '../../events/fault.ts';
import { WALL } from '../../events/vocabulary.ts';
import { isBeingImported } from '../../log/kafka/import.ts';
import type { Ledger, Owner } from '../../log/port.ts';
import { Driver } from '../driver.ts';
import { type Delivered, INPUTS_PER_COMMIT, Live, type LiveObserver, type Time } from '../live.ts';
import type { Directory } from '../partition/directory.ts';
import { TopicGate } from './gate.ts';

/** Carries committed entries further, from the first that has not been. */
type Carrier = {
  readonly committed: (first: number, entries: readonly Entry[]) => void;
  /** Ends; what was not carried is the next owner's. */
  readonly stop: () => Promise<void>;
};

/**
 * One partition while it is this instance's to decide: claimed, run, and where its owner died claimed anew, until the group
 * gives it to another.
 */

export type ShareOptions = {
  readonly partition: number;
  readonly ledger: Ledger;
  /** The stream of its inputs: positions are kept under this name. */
  readonly stream: string;
  readonly time: Time;
  readonly directory: () => Directory;
  /** The topic's end, for deadlines. */
  readonly end: () => Promise<number>;
  readonly carrier: Carried;
  readonly observer: LiveObserver & {
    /** From here on inputs are taken, beginning with this offset. */
    ready: (partition: number, next: number) => void;
    /** It takes nothing for now. */
    down: (partition: number, fault: Fault) => void;
    committed: (entries: number, ms: number) => void;
  };
};

/** How far entries were carried is kept under `stream`, among the positions of the partition. */
type Carried = {
  readonly stream: string;
  readonly start: (next: number, carried: (sequence: number) => void) => Carrier;
};

/** One is worked out, one is committed in the topic, one is written to the copy. */
const COMMITS_UNDER_WAY = 3;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5000;
/** Clocks may differ by this much; an owner further behind than the last entry is not ready. */
const CLOCK_BEHIND_MAX_MS = 1000;
/** How often it is written down how far entries were carried. */
const CARRIED_MS = 1000;

type Running = {
  readonly owner: Owner;
  readonly live: Live;
  readonly gate: TopicGate;
  readonly carrier: Carrier;
  /** Writes down how far entries were carried. */
  readonly note: () => Promise<void>;
};

type State =
  | ({ readonly kind: 'ready' } & Running)
  | { readonly kind: 'down'; readonly fault: Fault }
  | { readonly kind: 'stopped' };

export class Share {
  readonly partition: number;
  readonly #options: ShareOptions;
  #state: State = { kind: 'down', fault: new Fault('NOT_READY', 'the partition is being claimed', 'Wait a moment.') };
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | null = null;
  #claiming: Promise<void> = Promise.resolve();
  #next = 0;
  #waiting = 0;
  #room: (() => void)[] = [];

  constructor(options: ShareOptions) {
    this.partition = options.partition;
    this.#options = options;
    this.#claiming = this.#claim();
  }

  /** Why it takes nothing just now; null: it does. */
  get fault(): Fault | null {
    return this.#state.kind === 'down' ? this.#state.fault : null;
  }

  /** Inputs that were delivered and are not durable yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes what the topic delivered; each item with its offset. What was delivered before is passed over. */
  deliver(items: readonly Delivered[], offsets: readonly number[]): void {
    if (this.#state.kind !== 'ready') return;
    const { live, gate } = this.#state;
    const from = offsets.findIndex((offset) => offset >= this.#next);
    if (from === -1) return;
    this.#waiting += items.length - from;
    this.#next = (offsets.at(-1) ?? 0) + 1;
    // In parts, so that one is worked on while another is committed.
    for (let start = from; start < items.length; start += INPUTS_PER_COMMIT) {
      const part = items.slice(start, start + INPUTS_PER_COMMIT);
      void live
        .deliver(part)
        .catch(() => {}) // its owner died, which is told elsewhere
        .then(() => this.#release(part.length));
    }
    gate.delivered(this.#next);
  }

  /** The topic was read up to this offset, markers of transactions included. */
  passed(next: number): void {
    if (this.#state.kind === 'ready' && next >= this.#next) this.#state.gate.delivered(next);
  }

  /** Resolves when fewer inputs than this wait. */
  async room(limit: number): Promise<void> {
    while (this.#waiting >= limit && this.#state.kind === 'ready') {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
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

  #release(count: number): void {
    this.#waiting -= count;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#room.splice(0)) resolve();
  }

  async #claim(): Promise<void> {
    try {
      await this.#run();
      this.#retryMs = RETRY_MS_MIN;
    } catch (error) {
      this.#died(error instanceof Fault ? error : new Fault('LEDGER_FAILED', String(error), 'See the log.', error));
    }
  }

  async #run(): Promise<void> {
    const { ledger, partition, stream, time, directory, end, observer } = this.#options;
    const owner = await ledger.claim(partition);
    if (this.#state.kind === 'stopped') return owner.release();
    let driver: Driver;
    try {
      if (isBeingImported(owner.positions)) throw importing(partition);
      const past = directory();
      requireClock(past, time.now());
      driver = new Driver(owner, past);
    } catch (error) {
      await owner.release();
      throw error;
    }
    const { carrier, note } = this.#carry(owner);
    driver.onCommitted((entries, { sequence }) => carrier.committed(sequence - entries.length + 1, entries));
    const gate = new TopicGate({ time, end, whenTaken: (callback) => live.whenTaken(callback) });
    const died = (fault: Fault) => {
      gate.close();
      void Promise.all([carrier.stop(), owner.release()]).finally(() => this.#died(fault));
    };
    const live: Live = new Live(driver, time, { ...observer, died }, { gate, commitsUnderWay: COMMITS_UNDER_WAY });
    this.#next = (owner.positions.get(stream) ?? -1) + 1;
    gate.delivered(this.#next);
    this.#state = { kind: 'ready', owner, live, gate, carrier, note };
    observer.ready(partition, this.#next);
  }

  #carry(owner: Owner): Pick<Running, 'carrier' | 'note'> {
    const { time, carrier: carried } = this.#options;
    let sequence = owner.positions.get(carried.stream) ?? 0;
    let noted = sequence;
    let cancel: (() => void) | null = null;
    const note = async (): Promise<void> => {
      cancel?.();
      cancel = null;
      if (noted === sequence) return;
      noted = sequence;
      await owner.commit({ entries: [], positions: [{ stream: carried.stream, offset: sequence }] });
    };
    const carrier = carried.start(sequence + 1, (reached) => {
      sequence = reached;
      // Where it cannot be written the owner is dead, and whoever comes next carries some entries twice.
      cancel ??= time.after(CARRIED_MS, () => void note().catch(() => {}));
    });
    return { carrier, note };
  }

  #died(fault: Fault): void {
    if (this.#state.kind === 'stopped') return;
    this.#state = { kind: 'down', fault };
    this.#wakeAll();
    this.#options.observer.down(this.partition, fault);
    this.#cancelRetry = this.#options.time.after(this.#retryMs, () => {
      this.#claiming = this.#claim();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }
}

async function ended({ live, gate, carrier, note }: Running): Promise<void> {
  gate.close();
  await carrier.stop();
  // What a dying owner refuses comes again, from the topic or from the ledger.
  await note().catch(() => {});
  await live.stop().catch(() => {});
}

function importing(partition: number): Fault {
  const remedy = 'Run `landfall kafka import` again: it goes on where it ended.';
  return new Fault('IMPORT_UNFINISHED', `the import into partition ${partition} is not finished`, remedy);
}

/** An owner whose clock is behind would give new entries the times of old ones, and keep deadlines late. */
function requireClock(past: Directory, now: number): void {
  for (const [clock, time] of past.times()) {
    if (clock !== WALL || time <= now + CLOCK_BEHIND_MAX_MS) continue;
    const behind = Math.round((time - now) / 1000);
    throw new Fault(
      'CLOCK_BEHIND',
      `this machine's clock is ${behind} s behind the ledger's last entry`,
      'Set the clock right; the partition is claimed again and again until it is.',
    );
  }
}
