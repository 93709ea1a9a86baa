import { Fault } from '../../events/fault.ts';
import type { HostRecord } from '../../events/records.ts';
import { formatPosition } from '../../log/port.ts';
import { attemptState, eachMigration, type MigrationView } from '../../projections/attempts.ts';
import { type DeadLetter, deadLetters, hostRecords } from '../../projections/site.ts';
import { type VmStatus, vmStatus } from '../../projections/vms.ts';
import { positionIn, type Reads } from './parts.ts';
import { readAt } from './past.ts';

/** Lists over all parts, a page at a time. */

/** Attempts may say much: a page ends where their entries come to this. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

export type PageOf = { readonly limit: number; readonly after?: string | undefined };

/** By UUID. */
export async function listVms(parts: Reads, { limit, after }: PageOf, at?: number): Promise<VmStatus[]> {
  const page = { limit, ...(after === undefined ? {} : { after: after.toLowerCase() }) };
  const lists = await readAt(parts, at, ({ db }) => vmStatus(db, undefined, page));
  const all = lists.flat();
  return lists.length === 1 ? all : all.sort((a, b) => (a.vm < b.vm ? -1 : 1)).slice(0, limit);
}

/**
 * Part by part, in the order in which they began. `after` is an attempt. `isCut`: there may be more, though it is no whole page.
 * @throws Fault BAD_REQUEST.
 */
export async function listMigrations(
  parts: Reads,
  { limit, after }: PageOf,
  { vm, at }: { vm?: string | undefined; at?: number | undefined },
): Promise<{ items: MigrationView[]; isCut: boolean }> {
  const begun = after === undefined ? 0 : parts.findIndex(({ db }) => attemptState(db, after) !== null);
  if (begun === -1) {
    const remedy = 'Give the `next` of a page.';
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

/** Part by part, oldest first. `after` is a position. @throws Fault BAD_REQUEST. */
export function listDeadLetters(parts: Reads, { limit, after }: PageOf): DeadLetter[] {
  const from = after === undefined ? '0:0' : formatPosition(positionIn(parts, after, 'after'));
  const found: DeadLetter[] = [];
  for (const part of parts) {
    if (found.length === limit) break;
    found.push(...deadLetters(part.db, { limit: limit - found.length, after: from }));
  }
  return found;
}

/** Every partition is told of every host. */
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
