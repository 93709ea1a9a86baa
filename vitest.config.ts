import { defineConfig } from 'vitest/config';

/** `vitest run` is the fast suite; `--mode long` runs only *.long.test.ts. */
export default defineConfig(({ mode }) => {
  const isLong = mode === 'long';
  const report = process.env['VITEST_REPORT'];
  return {
    test: {
      include: [isLong ? 'test/**/*.long.test.ts' : 'test/**/*.test.ts'],
      exclude: isLong ? [] : ['test/**/*.long.test.ts'],
      globalSetup: 'test/integration/kafka/brokers/global-setup.ts',
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: isLong ? 600_000 : 30_000,
      hookTimeout: 30_000,
      reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    },
  };
});
