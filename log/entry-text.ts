import type { Entry } from '../events/entries.ts';
import { ENTRY_VERSION } from '../events/entry-version.ts';
import { type AnyEntry, upcastEntry } from '../events/upcast.ts';
import type { Identity } from './port.ts';

/** Returns the JSON text that is hashed and stored. */
export function textOf(entry: Entry): string {
  return JSON.stringify(entry);
}

/**
 * Returns the entry of a stored text, lifted to the current version. The chain protects the text, so its shape is not
 * validated again.
 * @throws SyntaxError if the text is no JSON, Fault ENTRY_NEWER, Fault ENTRY_TIMER_UNKNOWN.
 */
export function entryOf(text: string): Entry {
  const entry = JSON.parse(text) as AnyEntry;
  return (entry.v === ENTRY_VERSION ? entry : upcastEntry(entry)) as Entry;
}

/** The fields of an entry about an attempt that can be read from its text without parsing the JSON. */
export type PeekedEntry = {
  readonly time: number;
  readonly clock: string;
  readonly vm: string;
  readonly migration: string;
  /** True if the entry holds a VM record. */
  readonly hasRecord: boolean;
};

/** The members that this function reads are equal in every version so far. */
const BEGINNING = new RegExp(
  `^\\{"v":[1-${ENTRY_VERSION}],"time":(\\d+),"clock":"([^"\\\\]*)","vm":"([^"\\\\]*)","cause":`,
);
const ATTEMPT = ',"attempt":{"migration":"';
const RECORD = ',"record":';
const NO_RECORD = `${RECORD}null`;
const NOTHING_ELSE = ',"host":null,"configuration":null,"questions":[';
const END = ',"refusal":null}';

/**
 * Reads the fields from the text of an entry. Members have a fixed order and quotes inside strings are escaped, so no string
 * value can be mistaken for a member.
 * @returns null if the text must be parsed instead.
 */
export function peekEntry(text: string): PeekedEntry | null {
  const [, time, clock, vm] = BEGINNING.exec(text) ?? [];
  if (time === undefined || clock === undefined || vm === undefined || !text.endsWith(END)) return null;
  const begin = text.indexOf(ATTEMPT) + ATTEMPT.length;
  const migration = text.slice(begin, text.indexOf('"', begin));
  if (begin < ATTEMPT.length || migration.includes('\\')) return null;
  // The VM record is one of the last members, so the search starts at the end.
  const record = text.lastIndexOf(RECORD);
  const hasRecord = !text.startsWith(NO_RECORD, record);
  if (hasRecord && !text.startsWith(`${RECORD}{"vm":"${vm}",`, record)) return null;
  const rest = hasRecord ? text.indexOf(NOTHING_ELSE, record) : record + NO_RECORD.length;
  return text.startsWith(NOTHING_ELSE, rest) ? { time: Number(time), clock, vm, migration, hasRecord } : null;
}

/** Returns the identity of the input that caused the entry; null for a timer. */
export function identityOf({ cause }: Entry): Identity | null {
  return cause.kind === 'timer' ? null : cause;
}

/** Returns the id of the attempt that the entry is about, or null. */
export function migrationOf({ attempt, cause }: Entry): string | null {
  if (attempt !== null) return attempt.attempt.migration;
  switch (cause.kind) {
    case 'timer':
      return cause.migration;
    case 'input':
      return migrationNamedBy(cause.data);
    case 'malformed':
      return null;
  }
}

/**
 * Returns the id of the attempt that a refused input names. The input changes no attempt, but belongs to the history of
 * that attempt.
 */
function migrationNamedBy(data: unknown): string | null {
  if (typeof data !== 'object' || data === null || !('migration' in data)) return null;
  return typeof data.migration === 'string' ? data.migration : null;
}
