import type { Served } from './harness.ts';

/** Makes every read fail that uses the connections of the thread that decides. */
export function refuseReadsOfDecidingThread({ engine }: Pick<Served, 'engine'>): void {
  const refuse = () => {
    throw new Error('the thread that decides read a page');
  };
  for (const { db, ledger } of engine.parts) {
    Object.assign(db, { prepare: refuse });
    Object.assign(ledger, { readUnparsed: refuse, readVm: refuse, readMigration: refuse, head: refuse });
  }
}

/** Returns the paths of all reads of a VM and an attempt, at present and in the past. */
export function readPaths(vm: string, migration: string): string[] {
  const timed = ['/v1/vms', `/v1/vms/${vm}`, `/v1/vms/${vm}/history`, '/v1/migrations', `/v1/migrations/${migration}`];
  const present = [...timed, `/v1/migrations/${migration}/entries`, '/v1/dead-letters', '/v1/hosts', '/v1/ledger'];
  return [...present, ...timed.map((path) => `${path}?at=${Date.now()}`)];
}
