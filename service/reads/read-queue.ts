import { availableParallelism } from 'node:os';
import { Fault } from '../../events/fault.ts';
import type { ReadRequest, ReadSource } from './read-request.ts';
import { ReaderThread } from './reader-thread.ts';

/**
 * Distributes reads to reader threads, and bounds the memory of reads. A connection has one read under way at a time: its next
 * read starts when the client has taken the reply. All replies that clients have not taken yet share one limit of bytes; when
 * it is reached, connections whose client takes nothing are closed.
 */

export type ReadLimits = {
  readonly threads: number;
  /** The reads that wait, over all connections and of one connection. */
  readonly waiting: number;
  readonly waitingOfConnection: number;
  /** The bytes under way over all connections, including one page for every running read. */
  readonly bytes: number;
  /** The longest wait of a read for a thread, and its longest run, in milliseconds. */
  readonly waitMs: number;
  readonly runMs: number;
  /** A client that takes no byte during this time is stalled, in milliseconds. */
  readonly stallMs: number;
};

const DEFAULT_LIMITS: ReadLimits = {
  threads: Math.min(4, Math.max(2, Math.floor(availableParallelism() / 2))),
  waiting: 1000,
  waitingOfConnection: 32,
  bytes: 64 * 1024 * 1024,
  waitMs: 60_000,
  runMs: 120_000,
  stallMs: 1000,
};

/** The reads that one thread works on in turns, so that a short read does not wait for the end of a long one. */
const RUNNING_OF_THREAD = 4;
/** The size that a running read is expected to have. */
const PAGE_BYTES = 4 * 1024 * 1024;
const CLOSE_MS = 2000;

/** A client's connection: a socket. */
export type Connection = { destroy(): void };

/** A read whose reply is ready. */
export type ReadyReply = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Reports that the client has taken some bytes. */
  readonly taken: () => void;
  /** Reports that the client has taken all bytes. */
  readonly done: () => void;
};

type Job = {
  readonly connection: Connection;
  readonly source: ReadSource;
  readonly request: ReadRequest;
  readonly resolve: (reply: ReadyReply) => void;
  readonly reject: (error: unknown) => void;
  readonly late: NodeJS.Timeout;
};

/** The read of a connection that is under way. `bytes` is 0 until its reply is ready. */
type Current = { readonly job: Job; readonly cancel: () => void; bytes: number; takenAt: number };
/** The reads of one connection. `current` is null while none is under way. */
type Line = { readonly waiting: Job[]; current: Current | null };

export class ReadQueue {
  readonly #limits: ReadLimits;
  readonly #died: (failure: unknown) => void;
  readonly #lines = new Map<Connection, Line>();
  readonly #threads: (ReaderThread | null)[];
  /** The first waiting read of every connection that has none under way, oldest first. */
  #ready: Job[] = [];
  #waiting = 0;
  #bytes = 0;
  #check: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param died is called when a reader thread ended unexpectedly; the next read starts another one. */
  constructor(died: (failure: unknown) => void = () => {}, limits: Partial<ReadLimits> = {}) {
    this.#died = died;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#threads = Array.from({ length: this.#limits.threads }, () => null);
  }

  /** The number of reads that wait for a thread. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The bytes of replies that clients have not taken yet. */
  get bytesUnderWay(): number {
    return this.#bytes;
  }

  /**
   * Resolves with the reply, for which the caller must call `done`.
   * @throws Fault READS_BUSY, OVERLOADED, STOPPING, READ_FAILED, CLIENT_GONE, and the faults of the read.
   */
  read(connection: Connection, source: ReadSource, request: ReadRequest): Promise<ReadyReply> {
    return new Promise((resolve, reject) => {
      const line = this.#lines.get(connection) ?? { waiting: [], current: null };
      this.#requireRoom(line);
      this.#lines.set(connection, line);
      const late = setTimeout(() => this.#drop(job, busy()), this.#limits.waitMs);
      const job: Job = { connection, source, request, resolve, reject, late };
      line.waiting.push(job);
      this.#waiting += 1;
      if (line.current === null && line.waiting.length === 1) this.#ready.push(job);
      this.#startReady();
    });
  }

  /** Cancels the reads of a connection that has closed. */
  forget(connection: Connection): void {
    const line = this.#lines.get(connection);
    if (line === undefined) return;
    const { current, waiting } = line;
    this.#lines.delete(connection);
    this.#waiting -= waiting.length;
    this.#ready = this.#ready.filter((job) => job.connection !== connection);
    current?.cancel();
    this.#bytes -= current?.bytes ?? 0;
    line.current = null;
    for (const { late, reject } of [...waiting, ...(current === null ? [] : [current.job])]) {
      clearTimeout(late);
      reject(gone());
    }
    this.#startReady();
  }

  /** Rejects all waiting reads. Resolves when all threads have closed their connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#check !== null) clearTimeout(this.#check);
    for (const { waiting } of this.#lines.values()) for (const job of waiting.slice()) this.#drop(job, stopping());
    await Promise.all(this.#threads.flatMap((thread) => (thread === null ? [] : [thread.close(CLOSE_MS)])));
  }

  /** @throws Fault STOPPING, OVERLOADED, READS_BUSY. */
  #requireRoom({ waiting }: Line): void {
    if (this.#isClosed) throw stopping();
    if (waiting.length >= this.#limits.waitingOfConnection) {
      const remedy = 'Read a reply before you send more requests on its connection.';
      throw new Fault('OVERLOADED', 'too many reads wait on this connection', remedy);
    }
    if (this.#waiting >= this.#limits.waiting) throw busy();
  }

  #drop(job: Job, fault: Fault): void {
    this.#remove(job);
    job.reject(fault);
  }

  #remove(job: Job): void {
    clearTimeout(job.late);
    const waiting = this.#lines.get(job.connection)?.waiting ?? [];
    const index = waiting.indexOf(job);
    if (index === -1) return;
    waiting.splice(index, 1);
    this.#waiting -= 1;
    this.#ready = this.#ready.filter((each) => each !== job);
    this.#offerNext(job.connection);
  }

  /** Makes the first waiting read of a connection ready. */
  #offerNext(connection: Connection): void {
    const line = this.#lines.get(connection);
    if (line === undefined || line.current !== null) return;
    const [next] = line.waiting;
    if (next !== undefined && !this.#ready.includes(next)) this.#ready.push(next);
  }

  #startReady(): void {
    while (this.#ready.length > 0 && !this.#isClosed) {
      if (!this.#hasRoomForPage()) return this.#checkLater();
      const job = this.#ready.find(({ request }) => this.#slotFor(request) !== null);
      const slot = job === undefined ? null : this.#slotFor(job.request);
      if (job === undefined || slot === null) return;
      this.#start(job, this.#threadAt(slot));
    }
  }

  #hasRoomForPage(): boolean {
    const running = this.#threads.reduce((sum, thread) => sum + (thread?.running ?? 0), 0);
    return this.#bytes + running * PAGE_BYTES < this.#limits.bytes;
  }

  /**
   * The thread that can take a read now: the thread with the least work. The pages of a timeline go to the same thread, which
   * has the fold of the previous page.
   */
  #slotFor(request: ReadRequest): number | null {
    const slots = request.kind === 'history' ? [hashOf(request.vm) % this.#threads.length] : this.#threads.keys();
    const work = (slot: number) => this.#threads[slot]?.running ?? 0;
    const [best] = [...slots].sort((a, b) => work(a) - work(b));
    return best !== undefined && work(best) < RUNNING_OF_THREAD ? best : null;
  }

  #threadAt(slot: number): ReaderThread {
    const running = this.#threads[slot];
    if (running !== null && running !== undefined) return running;
    const thread = new ReaderThread((failure) => {
      this.#threads[slot] = null;
      if (this.#isClosed) return;
      this.#died(failure);
      this.#startReady();
    });
    this.#threads[slot] = thread;
    return thread;
  }

  #start(job: Job, thread: ReaderThread): void {
    const { connection, source, request } = job;
    const line = this.#lines.get(connection);
    if (line === undefined) return;
    const { bytes, cancel } = thread.read(source, request);
    const current: Current = { job, cancel, bytes: 0, takenAt: 0 };
    line.current = current;
    this.#remove(job);
    // A read that takes this long has no end, so its thread is replaced.
    const endless = setTimeout(() => thread.kill(), this.#limits.runMs);
    void bytes
      .then(
        (ready) => this.#deliver(line, current, ready),
        (error: unknown) => {
          this.#finish(connection, current);
          job.reject(error);
        },
      )
      .finally(() => clearTimeout(endless));
  }

  #deliver(line: Line, current: Current, bytes: Uint8Array<ArrayBuffer>): void {
    const { resolve, connection } = current.job;
    const taken = () => void (current.takenAt = performance.now());
    if (line.current === current) {
      current.bytes = bytes.byteLength;
      this.#bytes += bytes.byteLength;
      taken();
      resolve({ bytes, taken, done: () => this.#finish(connection, current) });
    }
    this.#startReady();
  }

  #finish(connection: Connection, current: Current): void {
    const line = this.#lines.get(connection);
    if (line?.current !== current) return this.#startReady();
    this.#bytes -= current.bytes;
    line.current = null;
    if (line.waiting.length === 0) this.#lines.delete(connection);
    else this.#offerNext(connection);
    this.#startReady();
  }

  /** Closes stalled connections while reads wait for room. */
  #checkLater(): void {
    this.#check ??= setTimeout(() => {
      this.#check = null;
      this.#closeStalled();
      this.#startReady();
    }, this.#limits.stallMs / 4);
  }

  #closeStalled(): void {
    const before = performance.now() - this.#limits.stallMs;
    const stalled = [...this.#lines].flatMap(([connection, { current }]) =>
      current !== null && current.bytes > 0 && current.takenAt < before ? [{ connection, current }] : [],
    );
    stalled.sort((a, b) => a.current.takenAt - b.current.takenAt);
    for (const { connection } of stalled) {
      if (this.#hasRoomForPage()) return;
      connection.destroy();
      this.forget(connection);
    }
  }
}

/** Hashes a name to a small whole number. */
function hashOf(name: string): number {
  let hash = 0;
  for (let index = 0; index < name.length; index += 1) hash = (hash * 31 + name.charCodeAt(index)) % 65_521;
  return hash;
}

const busy = (): Fault => new Fault('READS_BUSY', 'too many reads wait', 'Send the request again in a moment.');
const gone = (): Fault => new Fault('CLIENT_GONE', 'the client closed its connection', 'No reply is needed.');
const stopping = (): Fault =>
  new Fault('STOPPING', 'the service is stopping', 'Send the request again after the restart.');
