import type { Recipient, WorkItem } from '../../../producers/work-queue.ts';
import type { Ask, Work } from '../landfall/service.ts';
import type { Sim } from './sim.ts';

export type Poll = (recipient: Recipient, ask: Ask, reply: (work: Work | null) => void) => () => void;

/** Polls Landfall for work repeatedly, and continues each time at the cursor of the last reply. */
export class Poller {
  readonly #sim: Sim;
  readonly #poll: Poll;
  readonly #recipient: Recipient;
  readonly #take: (item: WorkItem) => void;
  readonly #limit: number;
  #cursor: string | null = null;
  /** The generation rises when the poller stops; replies of an older generation are ignored. */
  #epoch = 0;
  #hangUp = () => {};
  #isAsking = false;

  constructor(sim: Sim, poll: Poll, recipient: Recipient, take: (item: WorkItem) => void) {
    this.#sim = sim;
    this.#poll = poll;
    this.#recipient = recipient;
    this.#take = take;
    this.#limit = sim.random('settings:poller').pick([1, 3, 100]);
  }

  start(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#askIn(this.#ms(1, 20));
  }

  stop(): void {
    this.#isAsking = false;
    this.#epoch += 1;
    this.#hangUp();
  }

  /** Starts without a cursor, so that Landfall hands out all outstanding work again. */
  forget(): void {
    this.#cursor = null;
  }

  #ms(min: number, max: number): number {
    return this.#sim.random('poller').integer(min, max);
  }

  #askIn(ms: number): void {
    const epoch = this.#epoch;
    this.#sim.after(ms, () => {
      if (epoch !== this.#epoch) return;
      const ask = { after: this.#cursor, limit: this.#limit, waitMs: 25_000 };
      this.#hangUp = this.#poll(this.#recipient, ask, (work) => this.#replied(work, epoch));
      this.#sim.schedule.unsettled();
    });
  }

  #replied(work: Work | null, epoch: number): void {
    this.#hangUp = () => {};
    if (work === null || this.#sim.fault('reply-lost', 0.02)) return this.#again(epoch);
    this.#sim.after(this.#ms(1, 20), () => {
      if (epoch !== this.#epoch) return;
      this.#cursor = work.next;
      for (const item of work.items) this.#take(item);
      this.#askIn(this.#ms(1, 20));
    });
  }

  #again(epoch: number): void {
    if (epoch === this.#epoch) this.#askIn(this.#ms(100, 2000));
  }
}
