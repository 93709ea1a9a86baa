import { setFlagsFromString } from 'node:v8';

/**
 * Limits how far the V8 heap grows before a full collection. The goal is at most 512 MiB of resident memory with 100,000
 * attempts in Rechecking. The policy applies to all threads of the process, and costs processor time above its threshold.
 */
type Step = { readonly aboveMib: number; readonly percent: number };
const STEPS: Readonly<Record<'file' | 'kafka', readonly Step[]>> = {
  file: [
    { aboveMib: 320, percent: 20 },
    { aboveMib: 0, percent: 100 },
  ],
  // Kafka records in flight make the heap large for a short time. Frequent collections cost a seventh of the rate.
  kafka: [
    { aboveMib: 1024, percent: 20 },
    { aboveMib: 512, percent: 100 },
    { aboveMib: 0, percent: 400 },
  ],
};
const MIB = 1024 * 1024;
const ADJUST_EVERY_MS = 1000;

/** Applies the policy until the process ends. */
export function keepHeapSmall(ledger: keyof typeof STEPS): void {
  let inForce = 0;
  const adjust = (): void => {
    // Resident memory is not a useful measure here, because a collection does not free memory outside the heap.
    const { heapTotal, external } = process.memoryUsage();
    const percent = STEPS[ledger].find(({ aboveMib }) => heapTotal + external > aboveMib * MIB)?.percent ?? inForce;
    if (percent === inForce) return;
    inForce = percent;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  };
  // With this flag buffers count as part of the heap. Without it V8 runs a full collection after every 64 MiB of buffers. The
  // Kafka client allocates that much in a second, so the collections took a third of the processor time.
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  adjust();
  setInterval(adjust, ADJUST_EVERY_MS).unref();
}
