import type { KafkaFault } from '../faults.ts';
import { BrokerError, isRetriable } from './errors.ts';

/** The network between clients and brokers: its time, its random delays and its faults. */
export interface Network {
  now(): number;
  after(ms: number, run: () => void): void;
  /** A random integer; both bounds are included. */
  between(min: number, max: number): number;
  /** Returns true if this fault happens now. */
  fault(kind: KafkaFault): boolean;
}

/** The process of a client. Work of a frozen process waits, and work of a killed process is dropped. */
export interface ClientProcess {
  run(work: () => void): void;
  /** The additional delay of each request of the process, in milliseconds. */
  readonly slowMs: number;
}

/** The time for which a client repeats a request. */
const RETRY_MS = 2000;
const BACKOFF_MS = { min: 1, max: 250 };
const REQUEST_TIMEOUT_MS = 15_000;

/** Sends the requests of one process. */
export class Link {
  readonly network: Network;
  readonly #process: ClientProcess;

  constructor(network: Network, process: ClientProcess) {
    this.network = network;
    this.#process = process;
  }

  /** Calls back in the process after `ms`. */
  after(ms: number, work: () => void): void {
    this.network.after(ms, () => this.#process.run(work));
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * Runs a request on the brokers and resolves with its reply. A lost request, a lost reply and a retriable error make the
   * client repeat the request, so `handle` must recognise a repetition. @throws BrokerError; the request may have been run.
   */
  async ask<T>(handle: () => T | Promise<T>): Promise<T> {
    const deadline = this.network.now() + RETRY_MS;
    for (let backoffMs = BACKOFF_MS.min; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.max)) {
      try {
        return await this.#once(handle);
      } catch (error) {
        const mayRetry = isRetriable(error) || (error instanceof BrokerError && error.type === 'CONNECTION_CLOSED');
        if (!mayRetry || this.network.now() >= deadline) throw error;
      }
      await this.wait(backoffMs);
    }
  }

  #once<T>(handle: () => T | Promise<T>): Promise<T> {
    const { network } = this;
    return new Promise((resolve, reject) => {
      if (network.fault('request-lost')) return this.#closeLater(reject);
      const isDelayed = network.fault('request-delayed');
      if (isDelayed) this.after(network.between(500, REQUEST_TIMEOUT_MS), () => reject(timedOut()));
      const delayMs = isDelayed ? network.between(500, REQUEST_TIMEOUT_MS) : this.#latency();
      network.after(delayMs, () => void this.#handle(handle, resolve, reject));
    });
  }

  async #handle<T>(
    handle: () => T | Promise<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): Promise<void> {
    const { network } = this;
    let reply: () => void;
    try {
      const value = await handle();
      reply = () => resolve(value);
    } catch (error) {
      reply = () => reject(error);
    }
    if (network.fault('reply-lost')) this.#closeLater(reject);
    else this.after(this.#latency(), reply);
  }

  #closeLater(reject: (error: unknown) => void): void {
    const isSilent = this.network.fault('connection-silent');
    const ms = isSilent ? REQUEST_TIMEOUT_MS : this.network.between(2, 300);
    this.after(ms, () => reject(isSilent ? timedOut() : new BrokerError('CONNECTION_CLOSED')));
  }

  #latency(): number {
    return this.network.between(0, 2) + this.#process.slowMs;
  }
}

const timedOut = () => new BrokerError('REQUEST_TIMED_OUT', 'the request timed out');
