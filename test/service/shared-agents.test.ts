import { beforeEach, describe, expect, it } from 'vitest';
import type { HostRecord } from '../../events/records.ts';
import { WALL } from '../../events/vocabulary.ts';
import type { Submission } from '../../service/engine/engine.ts';
import { SharedAgents } from '../../service/engine/shared-agents.ts';
import { entryOfInput } from '../support/entries.ts';

/** Instances that share a ledger of facts about hosts, and a clock. */
class Site {
  now = 1_000_000;
  agent: HostRecord['agent'] = 'speaking';
  readonly told: string[] = [];
  /** How often it was asked who hears the agent. */
  asked = 0;
  readonly instances = new Map<string, SharedAgents>();
  /** What is submitted does not become readable while it is so. */
  isHeld = false;
  readonly #held: Submission[] = [];

  add(name: string): SharedAgents {
    const agents = new SharedAgents(30_000, () => this.now);
    this.instances.set(name, agents);
    return agents;
  }

  /** So many seconds pass; agents are looked at in each. */
  pass(seconds: number, meanwhile = () => {}): void {
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      meanwhile();
      const inputs = [...this.instances.values()].flatMap((agents) => agents.changes([this.#host()]));
      this.#held.push(...inputs);
      if (!this.isHeld) for (const { input } of this.#held.splice(0)) this.#commit(input);
    }
  }

  #commit(input: Submission['input']): void {
    const { agent } = input.data as { agent?: HostRecord['agent'] };
    if (agent === undefined) this.asked += 1;
    else {
      this.agent = agent;
      this.told.push(agent);
    }
    const entry = entryOfInput(input.id, { time: this.now });
    const cause = { ...entry.cause, type: input.type, source: input.source, data: input.data };
    for (const agents of this.instances.values()) agents.read([{ ...entry, cause }]);
  }

  #host(): HostRecord {
    const { agent } = this;
    return { host: 'h', clock: WALL, zone: null, cluster: null, boot: null, stream: 'connected', agent };
  }
}

const polls = (agents: SharedAgents) => agents.asks('h');

describe('an agent that may ask any instance', () => {
  let site: Site;
  let a: SharedAgents;
  let b: SharedAgents;
  beforeEach(() => {
    site = new Site();
    a = site.add('a');
    b = site.add('b');
  });

  it('is not silent while another instance hears it, however often it moves', () => {
    for (let round = 0; round < 5; round += 1) {
      site.pass(60, () => polls(a));
      site.pass(300, () => polls(b));
    }
    expect(site.agent).toBe('speaking');
    expect(site.told).not.toContain('silent');
    // Each move is asked about and answered once.
    expect(site.told.length).toBeLessThanOrEqual(10);
  });

  it('is silent once nobody hears it, is told so once, and speaks again wherever it comes back', () => {
    site.pass(60, () => polls(a));
    site.pass(60, () => polls(b));
    site.pass(20);
    expect(site.agent).toBe('speaking');
    site.pass(60);
    expect(site.told.filter((told) => told === 'silent')).toHaveLength(1);
    expect([a.silent([]), site.agent]).toEqual([0, 'silent']);
    site.pass(10, () => polls(a));
    expect(site.agent).toBe('speaking');
    site.pass(100);
    expect(site.agent).toBe('silent');
  });

  it('is not called silent while the others cannot be asked', () => {
    site.pass(10, () => polls(a));
    site.isHeld = true;
    site.pass(300, () => polls(b));
    expect(site.told).toEqual([]);
    site.isHeld = false;
    site.pass(60, () => polls(b));
    expect(site.told).not.toContain('silent');
  });

  it('is watched by another once the instance that heard it is gone', () => {
    site.pass(60, () => polls(b));
    site.instances.delete('b');
    site.pass(700);
    expect(site.agent).toBe('speaking');
    a.takeOver(['h'], () => 1);
    // The limit, what the hosts are spread over, and what the others may take to answer.
    site.pass(30);
    expect(site.agent).toBe('speaking');
    site.pass(18);
    expect(site.told).toEqual(['silent']);
  });

  it('is not asked about where it comes to the instance that took it over, however often partitions move', () => {
    site.pass(60, () => polls(b));
    site.instances.delete('b');
    a.takeOver(['h'], () => 0);
    site.pass(20);
    a.takeOver(['h'], () => 0);
    site.pass(60, () => polls(a));
    expect([site.agent, site.asked, site.told]).toEqual(['speaking', 0, []]);
    site.pass(50);
    expect(site.agent).toBe('silent');
  });

  it('is left to the instance that hears it when the partitions are shared out anew', () => {
    site.pass(60, () => polls(b));
    a.takeOver(['h'], () => 0);
    site.pass(700, () => polls(b));
    expect(site.told).toEqual(['speaking']);
  });
});
