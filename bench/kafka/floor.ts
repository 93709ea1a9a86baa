import { fork } from 'node:child_process';
import { join } from 'node:path';
import { Samples } from '../measure.ts';

/** The raw client's consume, produce and commit. */

export type FloorRun = {
  readonly brokers: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly count: number;
  /** Of the count: so many records go before the clock runs. */
  readonly warmUp: number;
  /** Records of one transaction. */
  readonly batch: number;
  /** How large what is produced is; null: what was consumed. */
  readonly valueBytes: number | null;
};
export type Measured = { readonly recordsPerSecond: number; readonly transactionMs: readonly number[] };
export type Floor = { readonly recordsPerSecond: number; readonly transactionMs: Samples };

export async function consumeProduceCommit(run: FloorRun): Promise<Floor> {
  const child = fork(join(import.meta.dirname, 'floor-process.ts'), [JSON.stringify(run)], {
    // kafkajs starts timers with a negative delay.
    execArgv: [...process.execArgv, '--disable-warning=TimeoutNegativeWarning'],
  });
  const { recordsPerSecond, transactionMs } = await new Promise<Measured>((resolve, reject) => {
    child.on('message', (message) => resolve(message as Measured));
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the raw client ended with code ${code}`)));
  });
  const samples = new Samples();
  for (const ms of transactionMs) samples.add(ms);
  return { recordsPerSecond, transactionMs: samples };
}
