import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Fault } from '../../events/fault.ts';
import type { Head } from '../port.ts';
import { outcomeUnknown, revivedFault } from './faults.ts';
import type {
  CommitRequest,
  RebuildStep,
  WriterAnswer,
  WriterOptions,
  WriterReply,
  WriterRequest,
} from './messages.ts';

type Waiting = { readonly resolve: (answer: WriterAnswer) => void; readonly reject: (fault: Fault) => void };

/** A request without its id. */
type Unnumbered<R> = R extends WriterRequest ? Omit<R, 'id'> : never;

/**
 * Heap limits of the writer thread in MiB. Without these limits its heap grows far beyond the size of its data. The limits
 * leave room for a batch of several hundred megabytes.
 */
const LIMITS = { maxYoungGenerationSizeMb: 12, maxOldGenerationSizeMb: 512 };

/** The main thread's end of the writer thread, which serves requests in their order. */
export class WriterThread {
  readonly #file: string;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onForgotten: (sequence: number) => void;
  readonly #exited: Promise<void>;
  #lastId = 0;
  #ended: Fault | null = null;

  private constructor(options: WriterOptions, onForgotten: (sequence: number) => void) {
    this.#file = options.file;
    this.#onForgotten = onForgotten;
    const url = new URL(`./writer-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(url, { workerData: options, name: 'ledger', resourceLimits: LIMITS });
    this.#worker.on('message', (reply: WriterReply) => this.#receive(reply));
    // The exit event follows and rejects all pending requests.
    let failure: unknown;
    this.#worker.on('error', (error: unknown) => {
      failure = error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#end(outcomeUnknown(this.#file, failure ?? `its writer ended with code ${code}`));
        resolve();
      });
    });
  }

  /** Resolves when the file is open, verified and locked. */
  static async start(options: WriterOptions, onForgotten: (sequence: number) => void): Promise<WriterThread> {
    const thread = new WriterThread(options, onForgotten);
    try {
      await new Promise<WriterAnswer>((resolve, reject) => thread.#waiting.set(0, { resolve, reject }));
    } catch (error) {
      await thread.#exited;
      throw error;
    }
    return thread;
  }

  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  claim(owner: number): Promise<WriterAnswer> {
    return this.#call({ kind: 'claim', owner });
  }

  commit(request: Omit<CommitRequest, 'id' | 'kind'>): Promise<WriterAnswer> {
    return this.#call({ kind: 'commit', ...request });
  }

  setHorizon(horizon: WriterOptions['horizon']): Promise<WriterAnswer> {
    return this.#call({ kind: 'horizon', horizon });
  }

  rebuild(rebuild: RebuildStep): Promise<WriterAnswer> {
    return this.#call({ kind: 'rebuild', rebuild });
  }

  markMoved(to: string): Promise<WriterAnswer> {
    return this.#call({ kind: 'mark-moved', to });
  }

  /** Verifies a part of the chain in the writer thread; commits wait meanwhile. @throws ChainFault */
  verify(after: Head, through: number): Promise<WriterAnswer> {
    return this.#call({ kind: 'verify', after, through });
  }

  async close(): Promise<void> {
    if (this.#ended === null) await this.#call({ kind: 'close' });
    await this.#exited;
  }

  #call(request: Unnumbered<WriterRequest>): Promise<WriterAnswer> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  #receive({ answers, forgottenThrough }: WriterReply): void {
    if (forgottenThrough !== null) this.#onForgotten(forgottenThrough);
    for (const answer of answers) {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.fault === null) waiting?.resolve(answer);
      else waiting?.reject(revivedFault(answer.fault));
    }
  }

  #end(fault: Fault): void {
    this.#ended = fault;
    for (const { reject } of this.#waiting.values()) reject(fault);
    this.#waiting.clear();
  }
}
