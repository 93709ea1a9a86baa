import { type Style, styleFor } from './render/style.ts';

/** The outside world of a command: output, time and environment. Tests pass their own. */
export type Io = {
  readonly out: (text: string) => void;
  /** Prints progress and errors. */
  readonly err: (text: string) => void;
  readonly style: Style;
  readonly errStyle: Style;
  /** Returns the wall-clock time in milliseconds since the epoch. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** Thrown after complete work with a finding; the exit code is 1. */
export class FindingExit extends Error {}

export const EXIT_FINDING = 1;
export const EXIT_WRONG_USE = 2;

export function processIo(): Io {
  return {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    style: styleFor(process.stdout, process.env),
    errStyle: styleFor(process.stderr, process.env),
    now: () => Date.now(),
    env: process.env,
  };
}
