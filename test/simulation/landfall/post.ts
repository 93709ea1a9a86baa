import type { Receipt } from '../../../service/engine/engine.ts';
import type { Letter } from '../world/outbox.ts';
import type { Sim } from '../world/sim.ts';
import type { Service } from './service.ts';

/**
 * Delivers the inputs of senders to the service. An unacknowledged letter is sent again, complete and in order. The letter of an
 * ordered sender waits for the earlier letters of that sender; other letters are sent independently.
 */
export class Post {
  readonly #sim: Sim;
  readonly #service: Pick<Service, 'submit'>;
  readonly #told: (letter: Letter, receipt: Receipt) => void;
  readonly #ordered = new Map<string, Channel>();
  #count = 0;

  constructor(sim: Sim, service: Pick<Service, 'submit'>, told: (letter: Letter, receipt: Receipt) => void) {
    this.#sim = sim;
    this.#service = service;
    this.#told = told;
  }

  /** The number of unacknowledged letters. */
  get count(): number {
    return this.#count;
  }

  deliver(letter: Letter, sender: string | null): void {
    this.#count += 1;
    this.#channel(sender).send(letter);
  }

  /** Drops the letters that the sender has not delivered. */
  drop(sender: string): void {
    this.#ordered.get(sender)?.drop();
    this.#ordered.delete(sender);
  }

  #channel(sender: string | null): Channel {
    const known = sender === null ? undefined : this.#ordered.get(sender);
    if (known !== undefined) return known;
    const channel = new Channel(this.#sim, this.#service, {
      told: (letter, receipt) => this.#told(letter, receipt),
      rid: (count) => {
        this.#count -= count;
      },
    });
    if (sender !== null) this.#ordered.set(sender, channel);
    return channel;
  }
}

type Hooks = { told: (letter: Letter, receipt: Receipt) => void; rid: (count: number) => void };

class Channel {
  readonly #sim: Sim;
  readonly #service: Pick<Service, 'submit'>;
  readonly #hooks: Hooks;
  #queue: Letter[] = [];
  #isBusy = false;
  #isDropped = false;

  constructor(sim: Sim, service: Pick<Service, 'submit'>, hooks: Hooks) {
    this.#sim = sim;
    this.#service = service;
    this.#hooks = hooks;
  }

  send(letter: Letter): void {
    this.#queue.push(letter);
    this.#pump();
  }

  drop(): void {
    this.#isDropped = true;
    this.#hooks.rid(this.#queue.length);
    this.#queue = [];
  }

  #pump(): void {
    if (this.#isBusy || this.#queue.length === 0) return;
    this.#isBusy = true;
    const letters = this.#queue.slice();
    this.#service.submit(letters).then(
      (receipts) => this.#acknowledged(letters, receipts),
      () => this.#sim.after(this.#sim.random('post').integer(50, 3000), () => this.#again()),
    );
    this.#sim.schedule.unsettled();
  }

  #again(): void {
    this.#isBusy = false;
    this.#pump();
  }

  #acknowledged(letters: readonly Letter[], receipts: readonly Receipt[]): void {
    if (this.#isDropped) return;
    this.#queue.splice(0, letters.length);
    this.#hooks.rid(letters.length);
    for (const [nth, letter] of letters.entries()) {
      const receipt = receipts[nth];
      if (receipt !== undefined) this.#hooks.told(letter, receipt);
    }
    this.#again();
  }
}
