import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../events/fault.ts';
import { SharedAgents } from '../../service/engine/shared-agents.ts';
import { ClusterWatch } from '../../service/watch/cluster-watch.ts';
import { watchDemo } from '../../service/watch/watchers.ts';
import { HandTime } from '../support/hand-time.ts';

function logging() {
  const logged: Record<string, unknown>[] = [];
  const logger = pino(
    { base: null, timestamp: false },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  return { logged, logger };
}

describe('watchDemo', () => {
  it('continues after every error', async () => {
    const time = new HandTime();
    const { logged, logger } = logging();
    const failures = [new Fault('KAFKA_NO_TOPIC', 'none', 'Make it.'), new TypeError('surprise')];
    const shown = { reads: [], close: () => Promise.resolve() };
    const demo: { shown: typeof shown | null } = { shown: null };
    const open = () => {
      const failure = failures.shift();
      return failure === undefined ? Promise.resolve(shown) : Promise.reject(failure);
    };
    const cancel = watchDemo({ demo, time }, open, logger);
    for (let look = 0; look < 3; look += 1) await time.pass(30_000);
    expect(demo.shown).toBe(shown);
    expect(logged).toEqual([{ level: 40, error: 'surprise', msg: 'demo ledger cannot be opened' }]);
    cancel();
  });
});

describe('ClusterWatch', () => {
  it('logs commit times and lag at intervals and after a rebalance', async () => {
    const time = new HandTime();
    const { logged, logger } = logging();
    let inputLag = () => Promise.resolve([{ partition: 1, records: 7 }]);
    const cluster = { parts: [], owned: [1], lag: [{ partition: 0, records: 3 }], inputLag: () => inputLag() };
    const watch = new ClusterWatch({ cluster, agents: new SharedAgents(1, () => time.now()), time, logger });
    watch.committed(10);
    watch.committed(30);
    await time.pass(60_000);
    const commits = { count: 2, meanMs: 20, longestMs: 30 };
    expect(logged).toEqual([{ level: 30, partitions: [1], commits, inputLag: 7, copyLag: 3, msg: 'instance status' }]);
    inputLag = () => Promise.reject(new Error('no broker'));
    watch.rebalanced([1]);
    await time.pass(5000);
    expect(logged[1]).toMatchObject({ commits: { count: 0, meanMs: null }, inputLag: 'no broker' });
    watch.stop();
    await time.pass(120_000);
    expect(logged).toHaveLength(2);
  });
});
