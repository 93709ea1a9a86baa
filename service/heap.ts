import { setFlagsFromString } from 'node:v8';

/**
 * V8 lets a heap grow to several times what is alive before it collects all of it, which costs more memory than a hundred
 * thousand open attempts. Here it grows to twice that; and in a process that has become large, hardly beyond it, at the cost
 * of some processor time. It holds for the whole process, the thread that writes included.
 */
const GROWING_PERCENT = 100;
const GROWING_PERCENT_LARGE = 20;
const LARGE_BYTES = 400 * 1024 * 1024;
const LOOK_MS = 1000;

/** For as long as the process lives. */
export function keepHeapSmall(): void {
  let inForce = 0;
  const look = (): void => {
    const percent = process.memoryUsage.rss() > LARGE_BYTES ? GROWING_PERCENT_LARGE : GROWING_PERCENT;
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
