import { beforeEach, describe, expect, it } from 'vitest';
import type { HostRecord } from '../../events/records.ts';
import { WALL } from '../../events/vocabulary.ts';
import type { Submission } from '../../service/engine/engine.ts';
import { SharedAgents } from '../../service/engine/shared-agents.ts';
import { entryOfInput } from '../support/entries.ts';

/** Several instances with one ledger of host facts and one clock. */
class Site {
  now = 1_000_000;
  agent: HostRecord['agent'] = 'speaking';
  readonly told: string[] = [];
  /** The number of questions about the agent. */
  asked = 0;
  readonly instances = new Map<string, SharedAgents>();
  /** True while submitted inputs stay unreadable. */
  isHeld = false;
  readonly #held: Submission[] = [];

  add(name: string): SharedAgents {
    const agents = new SharedAgents(30_000, () => this.now);
    this.instances.set(name, agents);
    return agents;
  }

  /** Moves the clock, and checks the agents every second. */
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

describe('SharedAgents', () => {
  let site: Site;
  let a: SharedAgents;
  let b: SharedAgents;
  beforeEach(() => {
    site = new Site();
    a = site.add('a');
    b = site.add('b');
  });

  it('keeps an agent speaking while any instance gets its requests', () => {
    for (let round = 0; round < 5; round += 1) {
      site.pass(60, () => polls(a));
      site.pass(300, () => polls(b));
    }
    expect(site.agent).toBe('speaking');
    expect(site.told).not.toContain('silent');
    // Each move causes one question and one answer.
    expect(site.told.length).toBeLessThanOrEqual(10);
  });

  it('reports a silent agent once, and its return to any instance', () => {
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

  it('reports no silent agent while questions are unreadable', () => {
    site.pass(10, () => polls(a));
    site.isHeld = true;
    site.pass(300, () => polls(b));
    expect(site.told).toEqual([]);
    site.isHeld = false;
    site.pass(60, () => polls(b));
    expect(site.told).not.toContain('silent');
  });

  it('watches the agents of an instance that left', () => {
    site.pass(60, () => polls(b));
    site.instances.delete('b');
    site.pass(700);
    expect(site.agent).toBe('speaking');
    a.takeOver(['h'], () => 1);
    // The time passes the limit, the spread of the questions and the time for answers.
    site.pass(30);
    expect(site.agent).toBe('speaking');
    site.pass(18);
    expect(site.told).toEqual(['silent']);
  });

  it('asks no question about an agent that moved to its new instance', () => {
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

  it('leaves an agent to its instance after a rebalance', () => {
    site.pass(60, () => polls(b));
    a.takeOver(['h'], () => 0);
    site.pass(700, () => polls(b));
    expect(site.told).toEqual(['speaking']);
  });
});
