import { Fault, messageOf } from '../events/fault.ts';
import type { Time } from './time.ts';

/**
 * Runs one partition from its first claim until the runner is stopped. When a run fails, the runner reports the fault once,
 * frees the resources of the run, and claims the partition again with a growing delay.
 */

/** A claimed partition that decides. */
export interface Run {
  /** Frees the resources of a failed run. The runner claims again only after this promise settles. */
  abandon(fault: Fault): Promise<void>;
  /** Resolves when all accepted inputs are durable or rejected and the partition is released. */
  stop(): Promise<void>;
}

export type RunnerOptions<R extends Run> = {
  readonly time: Time;
  /** The delay before the second claim and the longest delay, in milliseconds. */
  readonly retryMs: { readonly min: number; readonly max: number };
  /**
   * Claims the partition and starts a run, which calls `fail` at most once, when it cannot continue. Resolves to null, with
   * nothing left open, if the runner was stopped meanwhile. @throws Fault if the partition cannot be claimed.
   */
  readonly claim: (fail: (fault: Fault) => void, isStopped: () => boolean) => Promise<R | null>;
  /** Returns a check that must hold before the next claim after `fault`. Default: no check. */
  readonly mayClaimAfter?: (fault: Fault) => () => boolean;
  readonly ready?: (run: R) => void;
  /** The partition decides nothing until `ready` is called again. */
  readonly down: (fault: Fault) => void;
};

/** The delay between two calls of the check from `mayClaimAfter`. */
const CHECK_MS = 100;

type State<R> =
  | { readonly kind: 'ready'; readonly run: R }
  | { readonly kind: 'down'; readonly fault: Fault }
  | { readonly kind: 'stopped' };

export class PartitionRunner<R extends Run> {
  readonly #options: RunnerOptions<R>;
  #state: State<R> = {
    kind: 'down',
    fault: new Fault('NOT_READY', 'the partition is being claimed', 'Wait a moment.'),
  };
  #downSince: number;
  #retryMs: number;
  #cancelRetry = () => {};
  #claiming: Promise<void> = Promise.resolve();

  constructor(options: RunnerOptions<R>) {
    this.#options = options;
    this.#retryMs = options.retryMs.min;
    this.#downSince = options.time.now();
  }

  /** The current run; null while the partition is down or stopped. */
  get run(): R | null {
    return this.#state.kind === 'ready' ? this.#state.run : null;
  }

  /** Why the partition is down; null while it runs and after a stop. */
  get fault(): Fault | null {
    return this.#state.kind === 'down' ? this.#state.fault : null;
  }

  get isStopped(): boolean {
    return this.#state.kind === 'stopped';
  }

  /** When the last run ended, in milliseconds since 1970; the creation time before the first run. */
  get downSince(): number {
    return this.#downSince;
  }

  /** Claims once. @throws Fault if the claim fails; the runner does not retry it. */
  start(): Promise<void> {
    const claiming = this.#claim();
    this.#claiming = claiming.catch(() => {});
    return claiming;
  }

  /** Claims in the background until a claim succeeds. */
  startRetrying(): void {
    this.#claiming = this.#claimOrRetry();
  }

  /** Resets the retry delay to its shortest value, because the present run has shown that it works. */
  resetDelay(): void {
    this.#retryMs = this.#options.retryMs.min;
  }

  /** Stops accepting inputs. Resolves when the run and a claim under way have ended. */
  async stop(): Promise<void> {
    const { run } = this;
    this.#state = { kind: 'stopped' };
    this.#cancelRetry();
    await run?.stop();
    await this.#claiming;
  }

  async #claimOrRetry(): Promise<void> {
    try {
      await this.#claim();
    } catch (error) {
      this.#retryAfterFailedClaim(faultOf(error));
    }
  }

  async #claim(): Promise<void> {
    const earlyFaults: Fault[] = [];
    let fail = (fault: Fault): void => void earlyFaults.push(fault);
    const run = await this.#options.claim(
      (fault) => fail(fault),
      () => this.isStopped,
    );
    if (run === null) return;
    if (this.isStopped) return run.stop();
    this.#state = { kind: 'ready', run };
    fail = (fault) => this.#fail(run, fault);
    this.#options.ready?.(run);
    for (const fault of earlyFaults) this.#fail(run, fault);
  }

  #fail(run: R, fault: Fault): void {
    if (this.run !== run) return;
    // The partition counts as down before its parts are ended, so that no input reaches a run that is ending.
    this.#downSince = this.#options.time.now();
    this.#setDown(fault);
    this.#claiming = run
      .abandon(fault)
      .catch(() => {})
      .then(() => this.#retryLater(fault));
  }

  #retryAfterFailedClaim(fault: Fault): void {
    if (this.isStopped) return;
    this.#setDown(fault);
    this.#retryLater(fault);
  }

  /** Reports a repeated fault once. */
  #setDown(fault: Fault): void {
    const { fault: before } = this;
    this.#state = { kind: 'down', fault };
    if (before?.message !== fault.message) this.#options.down(fault);
  }

  #retryLater(fault: Fault): void {
    const mayClaim = this.#options.mayClaimAfter?.(fault) ?? (() => true);
    this.#retryIn(this.#retryMs, mayClaim);
    this.#retryMs = Math.min(this.#retryMs * 2, this.#options.retryMs.max);
  }

  #retryIn(ms: number, mayClaim: () => boolean): void {
    if (this.isStopped) return;
    this.#cancelRetry = this.#options.time.after(ms, () => {
      if (mayClaim()) this.startRetrying();
      else this.#retryIn(CHECK_MS, mayClaim);
    });
  }
}

function faultOf(error: unknown): Fault {
  return error instanceof Fault ? error : new Fault('LEDGER_FAILED', messageOf(error), 'See the log.', error);
}
