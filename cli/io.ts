import { type Style, styleFor } from './render/style.ts';

/** What a command may touch of the outside. Handed in, so that tests can look at it. */
export type Io = {
  readonly out: (text: string) => void;
  /** Progress and errors. */
  readonly err: (text: string) => void;
  readonly style: Style;
  readonly errStyle: Style;
  /** Wall clock, in milliseconds since the epoch. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** A finding, not a failure: the command did its work, and what it found makes the exit code 1. */
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
