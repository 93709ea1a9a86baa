import type { Evidence, Testimony } from '../events/verdict.ts';

/**
 * Fills the texts of the table. `{source} does not answer` and `{destination} does not answer` stand for what the evidence says
 * about an end that is unknown: it may have answered in a way that proves nothing.
 */
export function rowText(text: string, evidence: Pick<Evidence, 'source' | 'destination'> | null): string {
  return text.replaceAll(/\{(source|destination)\} does not answer/g, (_, end: 'source' | 'destination') =>
    unknownText(end, evidence?.[end]),
  );
}

/** Says of an end that is unknown whether it answered, and in which words. */
function unknownText(end: string, said: Testimony | undefined): string {
  if (said?.answered !== true) return `${end} does not answer`;
  return `${end} answered, but nothing follows from “${said.words}”`;
}
