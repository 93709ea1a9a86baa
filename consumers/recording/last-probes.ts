import { readLines } from '../lines.ts';

/**
 * Where in each recording of a file each host was probed for the last time: from then on it answers as it last did. Found by
 * a first reading. A line that does not parse is the second reading's to report.
 */
export type LastProbes = ReadonlyMap<number, ReadonlyMap<string, number>>;

/** By the number of the line in the file that begins the recording; the probe's is its number within the recording. */
export async function findLastProbes(stream: AsyncIterable<Buffer | string>): Promise<LastProbes> {
  const found = new Map<number, Map<string, number>>();
  let current = new Map<string, number>();
  let number = 0;
  for await (const line of readLines(stream)) {
    if (isBlank(line)) continue;
    number += 1;
    if (/"kind":\s*"scenario"/.test(line.text)) {
      current = new Map();
      found.set(line.number, current);
      number = 1;
    }
    const host = /"kind":\s*"probe"/.test(line.text) ? /"host":\s*"([^"]*)"/.exec(line.text)?.[1] : undefined;
    if (host !== undefined) current.set(host, number);
  }
  return found;
}

/** Blank lines do not count: a recording that was laid out otherwise is the same one. */
export function isBlank({ text, oversized }: { text: string; oversized: boolean }): boolean {
  return !oversized && text.trim() === '';
}
