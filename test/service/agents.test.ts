import { describe, expect, it } from 'vitest';
import type { HostRecord } from '../../events/records.ts';
import { Agents } from '../../service/engine/agents.ts';

const LIMIT_MS = 30_000;
const host = (agent: HostRecord['agent']): HostRecord => ({
  host: 'host-a',
  clock: 'wall',
  zone: null,
  cluster: null,
  boot: null,
  stream: 'connected',
  agent,
});

describe('Agents', () => {
  it('reports an agent that becomes silent a second time', () => {
    let now = 0;
    const agents = new Agents(LIMIT_MS, () => now);
    const reportsFor = (agent: HostRecord['agent']) => agents.changes([host(agent)]).length;
    agents.asks('host-a');
    now += LIMIT_MS + 1;
    expect([reportsFor('speaking'), reportsFor('speaking'), reportsFor('silent')]).toEqual([1, 0, 0]);
    agents.asks('host-a');
    // The ledger already records the agent as speaking, so there is nothing to report.
    expect(reportsFor('speaking')).toBe(0);
    now += LIMIT_MS + 1;
    expect(reportsFor('speaking')).toBe(1);
  });

  it('forgets a silent agent of an unknown host', () => {
    let now = 0;
    const agents = new Agents(LIMIT_MS, () => now);
    for (let stranger = 0; stranger < 1000; stranger += 1) agents.asks(`stranger-${stranger}`);
    agents.asks('host-a');
    now += LIMIT_MS;
    agents.forgetStrangers([host('speaking')]);
    expect(agents.remembered).toBe(1001);
    agents.asks('stranger-7');
    now += 1;
    agents.forgetStrangers([host('speaking')]);
    expect(agents.remembered).toBe(2);
    expect(agents.changes([host('speaking')])).toHaveLength(1);
  });
});
