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

describe('an agent', () => {
  it('that falls silent a second time, after it said itself that it is back, is told of again', () => {
    let now = 0;
    const agents = new Agents(LIMIT_MS, () => now);
    const told = (agent: HostRecord['agent']) => agents.changes([host(agent)]).length;
    agents.asks('host-a');
    now += LIMIT_MS + 1;
    expect([told('speaking'), told('speaking'), told('silent')]).toEqual([1, 0, 0]);
    agents.asks('host-a');
    // Its own facts came first: there is nothing to tell.
    expect(told('speaking')).toBe(0);
    now += LIMIT_MS + 1;
    expect(told('speaking')).toBe(1);
  });

  it('of no known host is forgotten once it is not heard any more', () => {
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
