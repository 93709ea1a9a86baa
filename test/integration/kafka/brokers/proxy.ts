import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Lane } from './lane.ts';

export type Direction = 'requests' | 'answers' | 'both';

type Pair = { readonly client: Socket; readonly broker: Socket; readonly requests: Lane; readonly answers: Lane };

/** A TCP proxy between clients and one broker that simulates network faults. */
export class Proxy {
  readonly port: number;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #frozen = { requests: false, answers: false };
  #delayMs = 0;
  #server: Server | undefined;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  static async open(port: number, target: number): Promise<Proxy> {
    const proxy = new Proxy(port, target);
    await proxy.#listen();
    return proxy;
  }

  /** The number of clients connected through the proxy. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets every connection and refuses new connections. */
  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const { client, broker } of this.#pairs) {
      client.resetAndDestroy();
      broker.resetAndDestroy();
    }
    if (server !== undefined) await new Promise((closed) => server.close(closed));
  }

  /**
   * Accepts connections but forwards nothing: no bytes, no end, no reset. With `answers` only the broker's answers are kept back,
   * so the broker still executes the requests.
   */
  freeze(direction: Direction = 'both'): void {
    if (direction !== 'answers') this.#frozen.requests = true;
    if (direction !== 'requests') this.#frozen.answers = true;
    this.#apply();
  }

  /** Forwards the bytes that were kept back. */
  thaw(): void {
    this.#frozen.requests = false;
    this.#frozen.answers = false;
    this.#apply();
  }

  /** Delays both directions by `ms` milliseconds. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
    this.#apply();
  }

  /** Forwards everything again. Connections that were reset stay closed. */
  async restore(): Promise<void> {
    this.slow(0);
    this.thaw();
    if (this.#server === undefined) await this.#listen();
  }

  async close(): Promise<void> {
    this.thaw();
    await this.cut();
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#join(client));
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
  }

  #join(client: Socket): void {
    const broker = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const pair = { client, broker, requests: new Lane(client, broker), answers: new Lane(broker, client) };
    this.#pairs.add(pair);
    this.#applyTo(pair);
    let open = 2;
    const closed = () => {
      open -= 1;
      if (open === 0) this.#pairs.delete(pair);
    };
    client.once('close', closed);
    broker.once('close', closed);
  }

  #apply(): void {
    for (const pair of this.#pairs) this.#applyTo(pair);
  }

  #applyTo({ requests, answers }: Pair): void {
    requests.set(this.#frozen.requests, this.#delayMs);
    answers.set(this.#frozen.answers, this.#delayMs);
  }
}
