import type { InputType, Matter } from '../../../events/inputs.ts';
import type { Sim } from './sim.ts';

/** An event that is not delivered to Landfall yet. */
export type Letter = { source: string; id: string; type: InputType; vm: string | null; data: unknown };
type Streamed = Pick<Matter, 'type'> & { vm: string | null; data: unknown };

/**
 * Delivers inputs to Landfall. Posted inputs may overtake each other. The stream of a host (lifecycle events, host facts) keeps
 * its order, as on one connection. Unsent events are lost when the host loses power or the agent ends.
 */
export class Outbox {
  readonly #sim: Sim;
  /** `sender` names a sender whose events keep their order. */
  readonly #deliver: (letter: Letter, sender: string | null) => void;
  readonly #drop: (sender: string) => void;
  readonly #lastAt = new Map<string, number>();
  readonly #epochs = new Map<string, number>();
  #count = 0;

  constructor(sim: Sim, post: { deliver(letter: Letter, sender: string | null): void; drop(sender: string): void }) {
    this.#sim = sim;
    this.#deliver = (letter, sender) => post.deliver(letter, sender);
    this.#drop = (sender) => post.drop(sender);
  }

  post(letter: Letter, delayMs: number): void {
    this.#sim.after(delayMs, () => this.#deliver(letter, null));
  }

  stream(host: string, streamed: Streamed): void {
    const random = this.#sim.random('outbox');
    this.#count += 1;
    const letter: Letter = { source: `agent/${host}`, id: `event-${this.#count}`, ...streamed };
    const lateMs = this.#sim.fault('event-late', 0.06) ? random.integer(500, 30_000) : random.integer(1, 40);
    const at = Math.max(this.#sim.now + lateMs, this.#lastAt.get(host) ?? 0);
    this.#lastAt.set(host, at);
    const epoch = this.#epochs.get(host) ?? 0;
    const send = () => {
      if (epoch === (this.#epochs.get(host) ?? 0)) this.#deliver(letter, letter.source);
    };
    this.#sim.schedule.at(at, send);
    if (this.#sim.fault('event-repeated', 0.05)) this.#sim.schedule.at(at + random.integer(1, 20_000), send);
  }

  /** Drops the unsent events of a host that lost power or whose agent ended. */
  cut(host: string): void {
    this.#epochs.set(host, (this.#epochs.get(host) ?? 0) + 1);
    this.#lastAt.delete(host);
    this.#drop(`agent/${host}`);
  }
}
