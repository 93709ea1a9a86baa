/**
 * An error that Landfall raises on purpose. Scripts rely on `code`, which never changes after a release; `message` and `remedy`
 * are sentences for people and may change.
 */
export class Fault extends Error {
  readonly code: string;
  /** The action that solves the problem, as a sentence for people. */
  readonly remedy: string;

  constructor(code: string, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Fault';
    this.code = code;
    this.remedy = remedy;
  }
}

/** Returns the message of a thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Makes a switch with a missing case fail to compile. @throws Fault UNREACHABLE if data does not match its type. */
export function unreachable(value: never): never {
  throw new Fault(
    'UNREACHABLE',
    `unexpected value ${JSON.stringify(value)}`,
    'This is a defect of Landfall: keep a copy of the ledger and report it.',
  );
}
