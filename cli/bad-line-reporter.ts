import type { Fault } from '../events/fault.ts';
import type { Io } from './io.ts';
import { faultText } from './render/errors.ts';

const TOLD_MAX = 20;

/** Lines that were not taken: the first of them tell enough; the others are counted, and told where they are kept. */
export class BadLineReporter {
  readonly #io: Io;
  readonly #kept: string;
  #told = 0;

  /** @param kept where all of them are found, in words. */
  constructor(io: Io, kept: string) {
    this.#io = io;
    this.#kept = kept;
  }

  tell(fault: Fault): void {
    this.#told += 1;
    if (this.#told <= TOLD_MAX) this.#io.err(faultText(fault, this.#io.errStyle));
  }

  conclude(): void {
    const untold = this.#told - TOLD_MAX;
    if (untold > 0) this.#io.err(`and ${untold} more: ${this.#kept}`);
  }
}

/** Only for whom it may concern: a terminal, and an ingest that takes its time. */
export function progress(io: Io): (at: { name: string; lines: number }) => void {
  let shown = io.now();
  return ({ name, lines }) => {
    if (io.now() - shown < 1000) return;
    shown = io.now();
    io.err(`${name}: ${lines} lines`);
  };
}
