import { writeFileSync } from 'node:fs';

export { cloudEvent, VM } from './builders.ts';

/** The text of an input file: one event per line. */
export const ndjson = (...events: readonly object[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('');

/** Writes an input file and returns its path. */
export function writeEvents(file: string, ...events: readonly object[]): string {
  writeFileSync(file, ndjson(...events));
  return file;
}
