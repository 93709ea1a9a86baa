import { setFlagsFromString } from 'node:v8';

/**
 * V8 lets a heap grow to several times what is alive before it collects all of it, which costs more memory than a hundred
 * thousand open attempts. Here it grows by so many percent of that, and where it has become large, hardly at all, at the
 * cost of processor time. It holds for the whole process, the thread that writes included.
 */
type Step = { readonly aboveMib: number; readonly percent: number };
const STEPS: Readonly<Record<'file' | 'kafka', readonly Step[]>> = {
  file: [
    { aboveMib: 180, percent: 20 },
    { aboveMib: 0, percent: 100 },
  ],
  // Records under way, in every form that they take, are not what is alive for long: to look for it among them more often took
  // a seventh of the rate.
  kafka: [
    { aboveMib: 1024, percent: 20 },
    { aboveMib: 512, percent: 100 },
    { aboveMib: 0, percent: 400 },
  ],
};
const MIB = 1024 * 1024;
const LOOK_MS = 1000;

/** For as long as the process lives. */
export function keepHeapSmall(ledger: keyof typeof STEPS): void {
  let inForce = 0;
  const look = (): void => {
    // Not what is resident: memory that is no part of the heap is not given back by collecting.
    const { heapTotal, external } = process.memoryUsage();
    const percent = STEPS[ledger].find(({ aboveMib }) => heapTotal + external > aboveMib * MIB)?.percent ?? inForce;
    if (percent === inForce) return;
    inForce = percent;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  };
  // Buffers count as part of the heap. By themselves they ask for a whole collection every 64 MiB, which the client of Kafka
  // makes in a second: with hundreds of megabytes alive that took a third of the processor time.
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  look();
  setInterval(look, LOOK_MS).unref();
}
