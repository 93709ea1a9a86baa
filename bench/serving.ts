import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A `landfall serve` process, started as `npm start` starts it. */
export class Serving {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** @param settings service settings by name. */
  static async start(settings: Readonly<Record<string, string | number>>): Promise<Serving> {
    const program = join(import.meta.dirname, '../bin/landfall.js');
    const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const args = [program, 'serve', '--port', '0', '--no-recordings', '--log-level', 'error', '--set', ...pairs];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line]: string[] = await once(createInterface({ input: child.stdout }), 'line');
    const url = /http:\S+:\d+/.exec(line ?? '')?.[0];
    if (url === undefined) throw new Error(`it does not say where it listens: ${line}`);
    return new Serving(url, child);
  }

  /** Returns one sample of the service's metrics. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`there is no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }

  /** Returns the number of entries in all partitions that the service can read. */
  async entries(): Promise<number> {
    const response = await fetch(`${this.url}/v1/config`);
    await response.arrayBuffer();
    const position = response.headers.get('landfall-position') ?? '';
    return position.split(',').reduce((sum, each) => sum + Number(each.split(':')[1]), 0);
  }

  /** Returns the resident memory in the kernel's count, which includes threads, SQLite pages and all heaps. */
  memoryMib(): { resident: number; peak: number } {
    const text = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024;
    return { resident: of('VmRSS'), peak: of('VmHWM') };
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
