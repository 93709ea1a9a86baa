import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { processEnded, reapProcess } from './reaper.ts';
import type { KafkaRuntime } from './runtime.ts';

const READY = /Kafka Server started/;
const READY_MS_MAX = 60_000;
const POLL_MS = 20;
const TERMINATE_MS_MAX = 20_000;
const TAIL_LINES = 40;

export type BrokerSpec = {
  readonly id: number;
  /** The output of the broker is appended to this file. */
  readonly log: string;
  readonly properties: string;
  readonly runtime: KafkaRuntime;
  /** The file for an archive of the loaded classes, written when the broker is terminated. */
  readonly record?: string;
};

/** One broker process. A test may start, stop and kill the process repeatedly; the data stays in place. */
export class Broker {
  readonly id: number;
  readonly log: string;
  readonly #spec: BrokerSpec;
  #child: ChildProcess | undefined;
  #isPaused = false;

  constructor(spec: BrokerSpec) {
    this.id = spec.id;
    this.log = spec.log;
    this.#spec = spec;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get isAnswering(): boolean {
    return this.isRunning && !this.#isPaused;
  }

  /** Resolves when the broker accepts requests. @throws Error with the last lines of the broker's output. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const offset = existsSync(this.log) ? statSync(this.log).size : 0;
    const child = this.#spawn();
    for (const deadline = Date.now() + READY_MS_MAX; Date.now() < deadline; await wait(POLL_MS)) {
      if (READY.test(this.#printed(offset))) return;
      if (this.#child !== child) throw this.#notReady('ended', offset);
    }
    await this.kill();
    throw this.#notReady(`was not ready after ${READY_MS_MAX} ms`, offset);
  }

  /** Sends SIGKILL, which simulates a crash. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /**
   * Sends SIGTERM: the broker hands its leaderships to other brokers and stops. Sends SIGKILL after 20 s. The broker must not be
   * paused.
   */
  async terminate(): Promise<void> {
    const killing = setTimeout(() => this.#child?.kill('SIGKILL'), TERMINATE_MS_MAX);
    await this.#end('SIGTERM');
    clearTimeout(killing);
  }

  /** Sends SIGSTOP: connections stay open and requests get no answer. */
  pause(): void {
    this.#isPaused = this.#child?.kill('SIGSTOP') ?? false;
  }

  resume(): void {
    this.#isPaused = false;
    this.#child?.kill('SIGCONT');
  }

  /** Returns the last lines of the broker's output. */
  tail(lines = TAIL_LINES): string {
    return this.#printed(0).trimEnd().split('\n').slice(-lines).join('\n');
  }

  #spawn(): ChildProcess {
    const { runtime, properties, record } = this.#spec;
    const output = openSync(this.log, 'a');
    const child = spawn(runtime.java.program, runtime.args('kafka.Kafka', [properties], record), {
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const { pid } = child;
    if (pid !== undefined) reapProcess(pid);
    const ended = () => {
      if (pid !== undefined) processEnded(pid);
      if (this.#child === child) this.#child = undefined;
    };
    child.once('exit', ended);
    child.once('error', ended);
    this.#child = child;
    this.#isPaused = false;
    return child;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  #printed(offset: number): string {
    return existsSync(this.log) ? readFileSync(this.log).subarray(offset).toString() : '';
  }

  #notReady(what: string, offset: number): Error {
    const printed = this.#printed(offset).trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
    return new Error(`Kafka broker ${this.id} ${what}; the end of what it printed:\n${printed}`);
  }
}
