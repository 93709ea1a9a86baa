import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LabError } from './errors.ts';

/** The end of a command. A command that a signal ended has the code undefined. */
export type Finished = {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly out: string;
  readonly err: string;
  readonly ms: number;
};

/** Runs a command to its end. Resolves for every exit code; a missing command is an error. */
export function run(command: string, args: readonly string[], limitMs = 60_000): Promise<Finished> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: limitMs, killSignal: 'SIGKILL' }, (error, out, err) => {
      if (error !== null && child.pid === undefined) {
        reject(new LabError('LAB_COMMAND_MISSING', `${command} cannot be started: ${error.message}.`, 'Install it.'));
        return;
      }
      resolve(finished(child, out, err, started));
    });
  });
}

/** Runs a command to its end. @throws LabError if the exit code is not 0. */
export async function mustRun(command: string, args: readonly string[], limitMs?: number): Promise<string> {
  const { code, signal, out, err } = await run(command, args, limitMs);
  if (code === 0) return out;
  const words = [command, ...args].join(' ');
  const end = code === undefined ? `was ended by ${signal ?? 'a signal'}` : `exited with ${code}`;
  throw new LabError('LAB_COMMAND_FAILED', `${words} ${end}: ${err.trim() || out.trim()}`, 'Read the log of the host.');
}

/** A child process whose output is collected and that the caller may kill. */
export type RunningCommand = { readonly child: ChildProcess; readonly ended: Promise<Finished> };

export function start(command: string, args: readonly string[]): RunningCommand {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (err += String(chunk)));
  return { child, ended: once(child, 'close').then(() => finished(child, out, err, started)) };
}

function finished(child: ChildProcess, out: string, err: string, started: number): Finished {
  const ms = Math.round(performance.now() - started);
  return { code: child.exitCode ?? undefined, signal: child.signalCode ?? undefined, out, err, ms };
}

/** Starts a process of its own session, which outlives this process. Its output is appended to the file. */
export function startDaemon(command: string, args: readonly string[], outputFile: string): ChildProcess {
  const output = openSync(outputFile, 'a');
  const child = spawn(command, args, { detached: true, stdio: ['ignore', output, output] });
  child.on('error', () => undefined); // A missing command shows itself when the daemon does not answer.
  child.unref();
  closeSync(output);
  return child;
}

/** Polls until the probe returns a value other than undefined and false. @throws LabError at the time limit. */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() > end) {
      throw new LabError('LAB_TIMEOUT', `${what}: not seen within ${limitMs} ms.`, 'Read the logs in the lab folder.');
    }
    await sleep(20);
  }
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Reads a file of a process; undefined if the process has ended. */
export function procFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
}

/** Returns the identity of the mount namespace of a process; undefined if the process has ended. */
export function mountNamespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** Returns the state letter and the start time of a process. A pid and its start time are unique until the next boot. */
export function statOf(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  const stat = procFile(pid, 'stat');
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Sends a signal; returns false if the process has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
