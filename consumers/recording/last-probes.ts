import { readLines } from '../lines.ts';

/**
 * The line of each host's last probe in each recording of a file. After the last probe, a host repeats its last answer.
 * Unparsable lines are ignored here; the ingest reports them.
 */
export type LastProbes = ReadonlyMap<number, ReadonlyMap<string, number>>;

/**
 * Returns the last probes. The outer key is the line number of the recording's start in the file; the values count
 * lines within the recording.
 */
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

/**
 * Returns true for a blank line. Blank lines do not count, so that a reformatted recording has the same line numbers.
 */
export function isBlank({ text, oversized }: { text: string; oversized: boolean }): boolean {
  return !oversized && text.trim() === '';
}
