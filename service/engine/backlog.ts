import { overloaded } from './engine.ts';

/** The limits of pending inputs and of their request bodies. Further inputs are refused, which bounds the memory of a burst. */
const INPUTS_MAX = 20_000;
const BYTES_MAX = 64 * 1024 * 1024;

/** Counts the accepted inputs that are not durable yet. */
export class Backlog {
  #inputs = 0;
  #bytes = 0;

  get inputs(): number {
    return this.#inputs;
  }

  /** Returns whether these inputs fit beside the pending ones. A request always fits if none is pending. */
  hasRoom(inputs: number, bytes: number): boolean {
    return this.#inputs === 0 || (this.#inputs + inputs <= INPUTS_MAX && this.#bytes + bytes <= BYTES_MAX);
  }

  /** Adds pending inputs and returns a function that removes them. @throws Fault OVERLOADED. */
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
