import { writeFileSync } from 'node:fs';

/** CloudEvents as a producer writes them. */

export const VM = 'aaaaaaaa-0000-4000-8000-0000000000aa';

let counted = 0;

type Envelope = { id?: string; source?: string; subject?: string | null; time?: string };

/** One event about the VM, or about the site where its subject is null. */
export function cloudEvent(type: string, data: unknown, { id, source, subject, time }: Envelope = {}): object {
  counted += 1;
  const about = subject === null ? {} : { subject: subject ?? VM };
  const when = time === undefined ? {} : { time };
  const named = { id: id ?? `e-${counted}`, source: source ?? 'test' };
  return { specversion: '1.0', ...named, type: `landfall.${type}.v1`, ...about, ...when, data };
}

export const ndjson = (...events: readonly object[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('');

export function writeEvents(file: string, ...events: readonly object[]): string {
  writeFileSync(file, ndjson(...events));
  return file;
}
