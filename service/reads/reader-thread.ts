import { extname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Fault, messageOf } from '../../events/fault.ts';
import { revivedFault } from '../../log/sqlite/faults.ts';
import type { ReaderAnswer, ReaderMessage, ReadRequest, ReadSource } from './read-request.ts';

/** Heap limits of a reader thread in MiB. A read that needs more ends its thread, but not the service. */
const LIMITS = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 256 };

type Running = {
  readonly resolve: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: Error) => void;
};

/** The main thread's end of one reader thread. */
export class ReaderThread {
  readonly #worker: Worker;
  readonly #running = new Map<number, Running>();
  readonly #exited: Promise<void>;
  readonly #onEnd: (failure: unknown) => void;
  #lastId = 0;
  #hasEnded = false;

  /** @param onEnd is called once, when the thread has ended or was killed. */
  constructor(onEnd: (failure: unknown) => void) {
    this.#onEnd = onEnd;
    const url = new URL(`./reader-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(url, { name: 'reader', resourceLimits: LIMITS });
    this.#worker.on('message', (answer: ReaderAnswer) => this.#receive(answer));
    // The exit event follows and rejects all running reads.
    let failure: unknown;
    this.#worker.on('error', (error: unknown) => {
      failure = error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#end(failure ?? `a reader thread ended with code ${code}`);
        resolve();
      });
    });
  }

  /** The number of reads that the thread works on. */
  get running(): number {
    return this.#running.size;
  }

  /** @returns the promised body, and a function that cancels the read; the promise settles in either case. */
  read(source: ReadSource, request: ReadRequest): { bytes: Promise<Uint8Array<ArrayBuffer>>; cancel: () => void } {
    this.#lastId += 1;
    const id = this.#lastId;
    const bytes = new Promise<Uint8Array<ArrayBuffer>>((resolve, reject) => this.#running.set(id, { resolve, reject }));
    this.#send({ kind: 'read', id, source, request });
    return { bytes, cancel: () => this.#send({ kind: 'cancel', id }) };
  }

  /** Rejects the running reads and ends the thread, which may take longer if it waits for the disk. */
  kill(): void {
    void this.#worker.terminate();
    this.#end('it took too long');
  }

  /** Resolves when the thread has closed its connections and ended. */
  async close(ms: number): Promise<void> {
    this.#send({ kind: 'close' });
    await Promise.race([this.#exited, wait(ms, undefined, { ref: false })]);
    this.kill();
  }

  #send(message: ReaderMessage): void {
    this.#worker.postMessage(message);
  }

  #receive(answer: ReaderAnswer): void {
    const running = this.#running.get(answer.id);
    this.#running.delete(answer.id);
    if (running === undefined) return;
    if ('bytes' in answer) running.resolve(answer.bytes);
    else running.reject('fault' in answer ? revivedFault(answer.fault) : new Error(answer.error));
  }

  #end(failure: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const fault = new Fault(
      'READ_FAILED',
      `the thread of this read ended: ${messageOf(failure)}`,
      'Send the request again; use a smaller `limit` if it fails again.',
      failure,
    );
    for (const { reject } of this.#running.values()) reject(fault);
    this.#running.clear();
    this.#onEnd(failure);
  }
}
