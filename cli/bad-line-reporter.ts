import type { Fault } from '../events/fault.ts';
import type { Io } from './io.ts';
import { faultText } from './render/errors.ts';

const SHOWN_MAX = 20;

/** Reports bad lines on stderr: the first 20 in full, the rest as a count. */
export class BadLineReporter {
  readonly #io: Io;
  readonly #kept: string;
  #count = 0;

  /** @param kept names the place that keeps all bad lines, for the user. */
  constructor(io: Io, kept: string) {
    this.#io = io;
    this.#kept = kept;
  }

  report(fault: Fault): void {
    this.#count += 1;
    if (this.#count <= SHOWN_MAX) this.#io.err(faultText(fault, this.#io.errStyle));
  }

  summarize(): void {
    const hidden = this.#count - SHOWN_MAX;
    if (hidden > 0) this.#io.err(`and ${hidden} more bad lines: ${this.#kept}`);
  }
}

/** Returns a function that prints the number of lines read, at most once a second. */
export function progress(io: Io): (at: { name: string; lines: number }) => void {
  let shown = io.now();
  return ({ name, lines }) => {
    if (io.now() - shown < 1000) return;
    shown = io.now();
    io.err(`${name}: ${lines} lines`);
  };
}
