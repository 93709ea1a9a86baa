import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Run, type Span, simulate } from './simulate.ts';

/** One world over days of virtual time, with the memory of the running partition at the end of each day. */
export type LongRun = Run & { readonly weights: readonly { bytes: number; open: number }[]; readonly seconds: number };

export async function runLong(seed: number, span: Omit<Span, 'onDay' | 'usedBytes'>): Promise<LongRun> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const usedBytes = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const weights: { bytes: number; open: number }[] = [];
  const begun = performance.now();
  const run = await simulate({
    seed,
    span: { ...span, usedBytes, onDay: (_day, weight) => weights.push(weight) },
  });
  return { ...run, weights, seconds: Math.round((performance.now() - begun) / 1000) };
}

export function summary({ seed, entries, restarts, rows, weights, seconds, happened }: LongRun): string {
  const verdicts = [...rows.values()].reduce((sum, count) => sum + count, 0);
  const faults = [...happened.values()].reduce((sum, count) => sum + count, 0);
  const weighed = weights.map(({ bytes, open }) => `${Math.round(bytes / 1024)} KiB, ${open} open`).join('; ');
  return `seed ${seed}: ${entries} entries, ${verdicts} verdicts, ${faults} faults, ${restarts} kills, ${seconds} s; the partition at the end of each day: ${weighed}`;
}
