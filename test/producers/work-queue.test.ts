import { beforeEach, describe, expect, it } from 'vitest';
import { Driver } from '../../engine/driver.ts';
import { toInput } from '../../events/cloud-event.ts';
import { WALL } from '../../events/vocabulary.ts';
import { sha256 } from '../../log/chain.ts';
import { ORCHESTRATOR, type Recipient, WorkQueue } from '../../producers/work-queue.ts';
import { answerStayed, declared, returned, started, VM } from '../service/harness.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

const OTHER_VM = '6d9b758b-e53f-4b06-84e0-000000000002';

/** A work queue fed by the committed entries of a real partition, on a clock that the test moves. */
class Site {
  now = 1_790_000_000_000;
  readonly queue = new WorkQueue();
  readonly ledger = new MemoryLedger();
  #driver: Driver | null = null;

  async start(): Promise<void> {
    this.#driver = new Driver(await this.ledger.claim(), this.ledger);
    this.#driver.onCommitted((entries) => this.queue.committed(entries));
  }

  /** Commits these events as one batch. */
  async commit(...events: Record<string, unknown>[]): Promise<void> {
    for (const event of events) this.#driver?.take(toInput(event, sha256), this.now, WALL);
    await this.#driver?.flush();
  }

  /** Moves the clock, fires the timers that are due, and commits. */
  async pass(seconds: number): Promise<void> {
    this.now += seconds * 1000;
    this.#driver?.partition.fire(this.now, WALL);
    await this.#driver?.flush();
  }

  numbersOf(recipient: Recipient, after = 0, limit = 100): number[] {
    return this.queue.itemsAfter(recipient, after, limit).map(({ number }) => number);
  }

  /** Answers every question of both hosts until the verdict sends a new command to the orchestrator. */
  async decide(migration: string, vm = VM): Promise<void> {
    const [last = 0] = this.numbersOf(ORCHESTRATOR).slice(-1);
    await this.commit(returned(migration, vm));
    for (let round = 0; round < 100 && this.numbersOf(ORCHESTRATOR, last).length === 0; round += 1) {
      const questions = ['host-a', 'host-b']
        .flatMap((host) => this.queue.itemsAfter(host, 0, 100))
        .flatMap(({ item }) => (item.kind === 'question' ? [item.question] : []));
      await this.commit(...questions.map((question) => answerStayed(question)));
      if (questions.length === 0) await this.pass(1);
    }
  }
}

describe('WorkQueue', () => {
  let site: Site;
  beforeEach(async () => {
    site = new Site();
    await site.start();
    await site.commit(declared(), started('m-1'));
  });

  it('gives each item its own number, in ascending order per recipient', async () => {
    await site.commit(started('m-2', OTHER_VM));
    const numbers = site.numbersOf('host-a');
    expect(numbers).toHaveLength(2);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set([...numbers, ...site.numbersOf('host-b')]).size).toBe(4);
  });

  it('raises the number when a question is asked again', async () => {
    const [first = 0] = site.numbersOf('host-a');
    await site.commit(returned('m-1'));
    const [second = 0, ...rest] = site.numbersOf('host-a');
    expect(rest).toEqual([]);
    expect(second).toBeGreaterThan(first);
  });

  it('raises the number when a command is sent again under its id', async () => {
    await site.decide('m-1');
    await site.pass(1);
    await site.commit(started('m-2', OTHER_VM));
    await site.decide('m-2', OTHER_VM);
    const [first] = site.queue.itemsAfter(ORCHESTRATOR, 0, 1);
    if (first?.item.kind !== 'command') throw new Error('the orchestrator got no command');
    const { command } = first.item.command;
    for (let second = 0; second < 600 && site.numbersOf(ORCHESTRATOR).includes(first.number); second += 1) {
      await site.pass(1);
    }
    const again = site.queue
      .itemsAfter(ORCHESTRATOR, first.number, 10)
      .find(({ item }) => item.kind === 'command' && item.command.command === command);
    expect(again?.item).toMatchObject({ command: { try: 2 } });
    const numbers = site.numbersOf(ORCHESTRATOR);
    expect(numbers).not.toContain(first.number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });

  it('keeps the number of an item when unrelated entries are committed', async () => {
    const before = site.numbersOf('host-a');
    await site.commit(declared(), started('m-2', OTHER_VM));
    expect(site.numbersOf('host-a').slice(0, before.length)).toEqual(before);
  });

  it('gives a reader that continues from a number each item once', async () => {
    const seen: number[] = [];
    const readOn = () => {
      for (let page = 0; page < 10; page += 1) seen.push(...site.numbersOf('host-a', seen.at(-1) ?? 0, 1));
    };
    readOn();
    for (const number of [2, 3, 4])
      await site.commit(started(`m-${number}`, `6d9b758b-e53f-4b06-84e0-00000000000${number}`));
    readOn();
    readOn();
    expect(seen).toEqual(site.numbersOf('host-a'));
    expect(new Set(seen).size).toBe(4);
  });

  it('gives a reader that lost a reply the same items again', () => {
    const lost = site.queue.itemsAfter('host-a', 0, 10);
    expect(lost).toHaveLength(1);
    expect(site.queue.itemsAfter('host-a', 0, 10)).toEqual(lost);
  });

  it('limits a reply to the lowest numbers', async () => {
    await site.commit(started('m-2', OTHER_VM));
    expect(site.numbersOf('host-a', 0, 1)).toEqual(site.numbersOf('host-a').slice(0, 1));
  });

  it('removes a question when its answer is committed', async () => {
    const [asked] = site.queue.itemsAfter('host-a', 0, 1);
    if (asked?.item.kind !== 'question') throw new Error('host-a got no question');
    await site.commit(answerStayed(asked.item.question));
    expect(site.numbersOf('host-a')).toEqual([]);
    expect(site.queue.counts.questions).toBe(site.numbersOf('host-b').length);
  });

  it('wakes only the recipient of a new item', async () => {
    const woken: string[] = [];
    const [last = 0] = site.numbersOf('host-a');
    site.queue.onceAvailable('host-a', () => woken.push('host-a'));
    site.queue.onceAvailable('host-z', () => woken.push('host-z'));
    await site.commit(started('m-2', OTHER_VM));
    expect(woken).toEqual(['host-a']);
    expect(site.numbersOf('host-a', last)).toHaveLength(1);
  });

  it('restores the same items from the open attempts, without new numbers', async () => {
    await site.commit(returned('m-1'));
    const states = [...site.ledger.openAttempts()].map(({ state }) => state);
    const restored = new WorkQueue();
    restored.restore(states);
    const itemsOf = (queue: WorkQueue) => queue.itemsAfter('host-b', 0, 10).map(({ item }) => item);
    expect(itemsOf(restored)).toEqual(itemsOf(site.queue));
    const numbers = site.numbersOf('host-b');
    site.queue.restore(states);
    expect(site.numbersOf('host-b')).toEqual(numbers);
    site.queue.restore([]);
    expect(site.queue.counts).toEqual({ questions: 0, commands: 0 });
  });
});
