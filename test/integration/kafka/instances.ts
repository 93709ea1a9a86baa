import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { wallTime } from '../../../engine/time.ts';
import { type Served, serve, textOf } from '../../service/harness.ts';
import { start } from '../../support/landfall.ts';
import type { Scratch } from './scratch.ts';

type Flags = Record<string, string | number>;

function flagsOf(scratch: Scratch, name: string, flags: Flags): Flags {
  const folder = scratch.folder(name);
  mkdirSync(folder, { recursive: true });
  return {
    kafkaBrokers: scratch.brokers.join(','),
    kafkaPrefix: scratch.prefix,
    kafkaInstance: name,
    kafkaSessionSeconds: 6,
    db: join(folder, 'ledger.db'),
    ...flags,
  };
}

/** Starts an instance in this process on the scratch topics. */
export async function instance(scratch: Scratch, name: string, flags: Flags = {}, time = wallTime): Promise<Served> {
  return serve(flagsOf(scratch, name, flags), scratch.folder(name), time);
}

/** Starts an instance in a separate process. `output` is everything it has written. */
export function instanceProcess(
  scratch: Scratch,
  name: string,
  flags: Flags = {},
): { readonly child: ChildProcess; readonly output: () => string } {
  const settings = Object.entries({ port: 0, recordings: 'false', ...flagsOf(scratch, name, flags) });
  const child = start(['serve', ...settings.flatMap(([setting, value]) => ['--set', `${setting}=${value}`])]);
  let written = '';
  child.stdout?.on('data', (chunk: Buffer) => (written += String(chunk)));
  child.stderr?.on('data', (chunk: Buffer) => (written += String(chunk)));
  return { child, output: () => written };
}

/** Waits until each instance accepts inputs and the group has assigned all partitions. */
export async function ready(scratch: Scratch, ...instances: readonly Served[]): Promise<void> {
  for (const deadline = Date.now() + 90_000; Date.now() < deadline; await wait(50)) {
    const replies = await Promise.all(instances.map((each) => each.get('/readyz')));
    const owned = await Promise.all(instances.map((each) => metric(each, 'landfall_partitions_owned')));
    const isShared = owned.reduce((sum, count) => sum + count, 0) === scratch.partitions;
    if (isShared && replies.every(({ status }) => status === 200)) return;
  }
  throw new Error(
    `not ready: ${JSON.stringify(await Promise.all(instances.map(async (each) => (await each.get('/readyz')).body)))}`,
  );
}

/** Returns the value of a metric of an instance, by name and labels as printed; NaN if there is no such sample. */
export async function metric({ get }: Pick<Served, 'get'>, name: string): Promise<number> {
  const lines = textOf((await get('/metrics')).body).split('\n');
  return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1));
}

/** Scratch topics whose folders are removed after the test. */
export function forTest(scratch: Scratch): Scratch {
  onTestFinished(() => scratch.cleanup());
  return scratch;
}

/** Calls `look` repeatedly and returns its first result that is not null. */
export async function eventually<T>(look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + 90_000; Date.now() < deadline; await wait(100)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error('it did not become so');
}
