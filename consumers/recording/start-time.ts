import type { Source } from '../ingest.ts';
import { readLines } from '../lines.ts';

/**
 * Returns the start time of a recording from its first line; infinity for other files and for streams that can be read
 * only once.
 */
export async function recordingStartTime(source: Source): Promise<number> {
  if (!source.twice) return Number.POSITIVE_INFINITY;
  for await (const { text } of readLines(source.stream())) {
    if (text.trim() === '') continue;
    const t = /^\s*\{.*"kind":\s*"scenario"/.test(text) ? /"t":\s*(\d+)/.exec(text)?.[1] : undefined;
    return t === undefined ? Number.POSITIVE_INFINITY : Number(t);
  }
  return Number.POSITIVE_INFINITY;
}
