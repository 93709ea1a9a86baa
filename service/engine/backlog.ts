import { overloaded } from './engine.ts';

/** Inputs that may wait for their commit, and the bytes that they came in. More are refused: a burst costs no more memory than this. */
const INPUTS_MAX = 20_000;
const BYTES_MAX = 64 * 1024 * 1024;

/** What was taken and is not durable yet. */
export class Backlog {
  #inputs = 0;
  #bytes = 0;

  get inputs(): number {
    return this.#inputs;
  }

  /** Whether so much may come as well. What comes alone always may. */
  hasRoom(inputs: number, bytes: number): boolean {
    return this.#inputs === 0 || (this.#inputs + inputs <= INPUTS_MAX && this.#bytes + bytes <= BYTES_MAX);
  }

  /** Returns what says that they wait no longer. @throws Fault OVERLOADED. */
  enter(inputs: number, bytes: number): () => void {
    if (!this.hasRoom(inputs, bytes)) throw overloaded();
    this.#inputs += inputs;
    this.#bytes += bytes;
    return () => {
      this.#inputs -= inputs;
      this.#bytes -= bytes;
    };
  }
}
