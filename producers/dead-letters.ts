import type { Entry } from '../events/entries.ts';

/** An input that was refused, as it leaves for whoever can mend it: why, where it stood, and what it was. */
export type DeadLetter = {
  code: string;
  message: string;
  remedy: string;
  stream: string | null;
  offset: number | null;
  digest: string;
  /** The original text, or its first bytes where it was too large; an input that was understood is given as its data. */
  text: string;
};

/** The dead letters of a committed batch, in its order. */
export function deadLettersOf(entries: readonly Entry[]): DeadLetter[] {
  return entries.flatMap(({ cause, refusal }) => {
    if (refusal === null || cause.kind === 'timer') return [];
    const text =
      cause.kind === 'malformed'
        ? cause.text
        : JSON.stringify({ type: cause.type, source: cause.source, id: cause.id, data: cause.data });
    return [{ ...refusal, stream: cause.stream ?? null, offset: cause.offset ?? null, digest: cause.digest, text }];
  });
}
