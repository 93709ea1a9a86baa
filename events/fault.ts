/**
 * Every error Landfall raises on purpose: a stable code for scripts, a sentence for people, and what to do about it.
 * The code never changes once released; the sentence may.
 */
export class Fault extends Error {
  readonly code: string;
  /** What the reader can do about it, as a sentence. */
  readonly remedy: string;

  constructor(code: string, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Fault';
    this.code = code;
    this.remedy = remedy;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Makes an exhaustive switch fail to compile when a case is missing, and fail loudly when data broke the types. */
export function unreachable(value: never): never {
  throw new Fault(
    'UNREACHABLE',
    `unexpected value ${JSON.stringify(value)}`,
    'This is a defect of Landfall: please report it.',
  );
}
