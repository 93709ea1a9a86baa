import { kafka } from './kafka/kafka.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { rebuild } from './rebuild.ts';
import type { Benchmark } from './report.ts';
import { restart } from './restart.ts';
import { service } from './service.ts';
import { transitions } from './transitions.ts';

export const benchmarks: Readonly<Record<string, Benchmark>> = {
  transitions,
  rebuild,
  latency,
  memory,
  service,
  restart,
  kafka,
};
