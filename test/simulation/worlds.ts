import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ROOT } from '../house/source-files.ts';

export type Summary = {
  readonly worlds: number;
  readonly entries: number;
  readonly restarts: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: number }[];
};

/** Simulates worlds on two processes with `npm run simulate`. Seeds are consecutive; `failures` names those that broke a rule. */
export async function simulateWorlds(from: number, seeds: number): Promise<Summary> {
  const args = ['scripts/simulate.ts', '--from', String(from), '--seeds', String(seeds), '--json'];
  // The command exits with 1 if a world broke a rule; its summary lists the seeds.
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, maxBuffer: 1 << 26 }).catch(
    (error: { stdout: string }) => error,
  );
  return JSON.parse(stdout) as Summary;
}
