import { benchmarks } from './benchmarks.ts';
import type { Options } from './report.ts';
import { keepHeapSmall } from '../service/heap.ts';

/** Runs one benchmark and sends its result to main.ts. */

const [name = '', options = '{}'] = process.argv.slice(2);
const benchmark = benchmarks[name];
if (benchmark === undefined) throw new Error(`there is no benchmark ${name}`);
// The service uses the same heap settings.
keepHeapSmall(name === 'kafka' ? 'kafka' : 'file');
process.send?.(await benchmark.run(JSON.parse(options) as Options));
process.disconnect?.();
