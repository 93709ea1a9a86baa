import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Test workers, worker threads and `landfall` processes inherit the compile cache, which shortens each of their starts. */
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/landfall', import.meta.url));

const SUITES = {
  /** The fast suite, run by `npm cit`: files named `*.test.ts` without `.slow`, `.long` or `.lab`. */
  fast: {
    include: 'test/**/*.test.ts',
    exclude: ['test/**/*.slow.test.ts', 'test/**/*.long.test.ts', 'test/**/*.lab.test.ts'],
    timeout: 120_000,
  },
  /** The slow suite, run by `.ci/run`: brokers, kills, faults and exploration. */
  slow: { include: 'test/**/*.slow.test.ts', exclude: [], timeout: 240_000 },
  /** The long suite, run on demand: complete explorations, which take up to a quarter of an hour each. */
  long: { include: 'test/**/*.long.test.ts', exclude: [], timeout: 600_000 },
  /** The lab suite, run by `.ci/run`: real libvirt hosts and guests (docs/lab.md). It needs root and Debian packages. */
  lab: { include: 'test/**/*.lab.test.ts', exclude: [], timeout: 120_000 },
} as const;

const isSuite = (mode: string): mode is keyof typeof SUITES => Object.hasOwn(SUITES, mode);

/** The files of the fast suite that take longest, in descending order of their duration. */
const LONGEST = [
  'integration/kafka/smoke',
  'simulation/simulation',
  'service/work',
  'service/access',
  'cli/ledger-files',
  'cli/commands',
  'service/story',
  'service/command-line',
].map((name) => `/test/${name}.test.ts`);

/** Starts the longest files first, so that no worker still runs a long file when the other worker has nothing left to do. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return index < 0 ? LONGEST.length : index;
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

/** `vitest run` runs the fast suite, `--mode slow`, `--mode long` and `--mode lab` the other suites. VITEST_REPORT names a JSON report. */
export default defineConfig(({ mode }) => {
  const { include, exclude, timeout } = SUITES[isSuite(mode) ? mode : 'fast'];
  const report = process.env['VITEST_REPORT'];
  return {
    test: {
      include: [include],
      exclude: [...exclude],
      globalSetup: 'test/integration/kafka/brokers/global-setup.ts',
      pool: 'forks',
      // Test files of the fast suite share two processes: a process and its imports cost 0.9 s of CPU time per file.
      isolate: include !== SUITES.fast.include,
      // The guests of one lab use both cores of a small machine.
      maxWorkers: include === SUITES.lab.include ? 1 : 2,
      sequence: { sequencer: LongestFirst },
      testTimeout: timeout,
      hookTimeout: timeout,
      // A poll ends when its condition holds; the long limit lets the suite pass on a busy machine.
      expect: { poll: { timeout: 30_000, interval: 20 } },
      reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    },
  };
});
