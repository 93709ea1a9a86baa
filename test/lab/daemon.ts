import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { LabError } from './errors.ts';
import { signalProcess, startDaemon, waitFor } from './processes.ts';

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

type DaemonPlan = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly outputFile: string;
  /** The daemon is ready when this socket accepts connections. */
  readonly socket: string;
  readonly started: (what: string, pid: number | undefined) => void;
};

/** libvirtd or virtlockd of one host: a child process that can be killed, frozen and started again. */
export class Daemon {
  readonly #plan: DaemonPlan;
  #child: ChildProcess | undefined;

  constructor(plan: DaemonPlan) {
    this.#plan = plan;
  }

  /** The pid; undefined if the daemon has ended. */
  get pid(): number | undefined {
    const child = this.#child;
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid;
  }

  async start(): Promise<void> {
    const { name, command, args, outputFile, socket, started } = this.#plan;
    if (this.pid !== undefined) return;
    this.#child = startDaemon(command, args, outputFile);
    started(name, this.#child.pid);
    await waitFor(
      `${name} accepts connections (its output: ${outputFile})`,
      () => this.#accepts(socket),
      START_LIMIT_MS,
    );
  }

  /** Resolves when the daemon has ended. SIGKILL gives it no chance to clean up. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    signalProcess(pid, signal);
    if (signal === 'SIGTERM') this.thaw();
    await waitFor(`${this.#plan.name} ends`, () => this.pid === undefined, STOP_LIMIT_MS);
  }

  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined || !signalProcess(this.pid, signal)) {
      throw new LabError('LAB_DAEMON_ENDED', `${this.#plan.name} is not running.`, 'Start it again first.');
    }
  }

  #accepts(socket: string): Promise<boolean> {
    if (this.pid === undefined) {
      const { name, outputFile } = this.#plan;
      throw new LabError('LAB_DAEMON_ENDED', `${name} ended while it started.`, lastLines(outputFile));
    }
    return new Promise((resolve) => {
      const client = connect(socket);
      client.once('connect', () => {
        client.destroy();
        resolve(true);
      });
      client.once('error', () => resolve(false));
    });
  }
}

function lastLines(file: string): string {
  return `Its output ends with:\n${readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n')}`;
}
