import { fork } from 'node:child_process';
import { join } from 'node:path';
import { Samples } from '../measure.ts';

/** Measures consume, produce and commit with the raw Kafka client. */

export type FloorRun = {
  readonly brokers: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly count: number;
  /** The number of records processed before the measurement; `count` includes them. */
  readonly warmUp: number;
  /** Records per transaction. */
  readonly batch: number;
  /** The size of a produced record in bytes; null copies the consumed record. */
  readonly valueBytes: number | null;
};
export type Measured = { readonly recordsPerSecond: number; readonly transactionMs: readonly number[] };
export type Floor = { readonly recordsPerSecond: number; readonly transactionMs: Samples };

export async function consumeProduceCommit(run: FloorRun): Promise<Floor> {
  const child = fork(join(import.meta.dirname, 'floor-process.ts'), [JSON.stringify(run)], {
    // kafkajs starts timers with a negative delay, for which Node prints a warning.
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
