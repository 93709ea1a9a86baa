import { Fault } from '../../events/fault.ts';
import type { HostRecord } from '../../events/records.ts';
import { formatPosition } from '../../log/port.ts';
import { attemptState, eachMigration, type MigrationView } from '../../projections/attempts.ts';
import { type DeadLetter, deadLetters, hostRecords } from '../../projections/site.ts';
import { type VmStatus, vmStatus } from '../../projections/vms.ts';
import { positionIn, type Reads } from './parts.ts';
import { readAt } from './past.ts';

/** Lists over all partitions in pages. */

/** The largest size of a page of attempts in characters, because one attempt can have many entries. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

export type PageOf = { readonly limit: number; readonly after?: string | undefined };

/** VMs in the order of their UUIDs. */
export async function listVms(parts: Reads, { limit, after }: PageOf, at?: number): Promise<VmStatus[]> {
  const page = { limit, ...(after === undefined ? {} : { after: after.toLowerCase() }) };
  const lists = await readAt(parts, at, ({ db }) => vmStatus(db, undefined, page));
  const all = lists.flat();
  return lists.length === 1 ? all : all.sort((a, b) => (a.vm < b.vm ? -1 : 1)).slice(0, limit);
}

/**
 * Attempts by partition, then by start. `after` is an attempt id. `isCut` is true when the page ended at its size limit.
 * @throws Fault BAD_REQUEST when `after` is not a known attempt.
 */
export async function listMigrations(
  parts: Reads,
  { limit, after }: PageOf,
  { vm, at }: { vm?: string | undefined; at?: number | undefined },
): Promise<{ items: MigrationView[]; isCut: boolean }> {
  const begun = after === undefined ? 0 : parts.findIndex(({ db }) => attemptState(db, after) !== null);
  if (begun === -1) {
    const remedy = 'Use the `next` of a page.';
    throw new Fault('BAD_REQUEST', `after: there is no attempt ${JSON.stringify(after)}`, remedy);
  }
  const rest = parts.slice(begun);
  const items: MigrationView[] = [];
  let characters = 0;
  await readAt(rest, at, ({ db, part }) => {
    const isFirst = part === rest[0] && after !== undefined;
    for (const found of eachMigration(db, vm, { limit, ...(isFirst ? { after } : {}) })) {
      if (items.length === limit || characters >= PAGE_CHARACTERS_MAX) return;
      items.push(found.view);
      characters += found.characters;
    }
  });
  return { items, isCut: characters >= PAGE_CHARACTERS_MAX };
}

/** Dead letters by partition, oldest first. `after` is a position. @throws Fault BAD_REQUEST. */
export function listDeadLetters(parts: Reads, { limit, after }: PageOf): DeadLetter[] {
  const from = after === undefined ? '0:0' : formatPosition(positionIn(parts, after, 'after'));
  const found: DeadLetter[] = [];
  for (const part of parts) {
    if (found.length === limit) break;
    found.push(...deadLetters(part.db, { limit: limit - found.length, after: from }));
  }
  return found;
}

/** Returns all hosts by name. Every partition has facts of every host, so the first record of a host is used. */
export function listHosts(parts: Reads): HostRecord[] {
  const byName = new Map<string, HostRecord>();
  for (const { db } of parts) {
    for (const record of hostRecords(db)) {
      const key = `${record.clock}\0${record.host}`;
      if (!byName.has(key)) byName.set(key, record);
    }
  }
  return [...byName.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
}
