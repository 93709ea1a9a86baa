import type { Socket } from 'node:net';

const HELD_BYTES_MAX = 1024 * 1024;

type Item = { readonly what: Buffer | 'end' | 'reset'; readonly heardAt: number };

/**
 * One direction of a proxied connection. Forwards bytes from one socket to the other in order: at once, after a delay, or not
 * at all while frozen.
 */
export class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #held: Item[] = [];
  #heldBytes = 0;
  #isFrozen = false;
  #delayMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk: Buffer) => this.#hear(chunk));
    from.on('end', () => this.#hear('end'));
    from.on('error', () => this.#hear('reset'));
    to.on('drain', () => this.#pump());
    to.on('close', () => clearTimeout(this.#timer));
  }

  set(isFrozen: boolean, delayMs: number): void {
    this.#isFrozen = isFrozen;
    this.#delayMs = delayMs;
    this.#pump();
  }

  #hear(what: Item['what']): void {
    this.#held.push({ what, heardAt: performance.now() });
    this.#heldBytes += typeof what === 'string' ? 0 : what.length;
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    for (let next = this.#held[0]; next !== undefined && this.#mayPass(next); next = this.#held[0]) {
      this.#held.shift();
      this.#pass(next.what);
    }
    if (this.#heldBytes > HELD_BYTES_MAX || this.#to.writableNeedDrain) this.#from.pause();
    else if (this.#from.isPaused()) this.#from.resume();
  }

  #mayPass({ heardAt }: Item): boolean {
    if (this.#isFrozen || this.#to.writableNeedDrain) return false;
    const restMs = heardAt + this.#delayMs - performance.now();
    if (restMs > 0) this.#timer = setTimeout(() => this.#pump(), restMs);
    return restMs <= 0;
  }

  #pass(what: Item['what']): void {
    if (this.#to.destroyed) return;
    if (what === 'end') this.#to.end();
    else if (what === 'reset') this.#to.resetAndDestroy();
    else {
      this.#heldBytes -= what.length;
      this.#to.write(what);
    }
  }
}
