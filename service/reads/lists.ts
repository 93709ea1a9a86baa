import { Fault } from '../../events/fault.ts';
import type { HostRecord } from '../../events/records.ts';
import { formatPosition } from '../../log/port.ts';
import { attemptState, eachMigration } from '../../projections/attempts.ts';
import { deadLetters, hostRecords } from '../../projections/site.ts';
import { vmStatus } from '../../projections/vms.ts';
import { type ItemPage, PageBuilder } from './pages.ts';
import { positionIn, type ReadPart } from './parts.ts';
import { readAt } from './past.ts';

/** Lists over all partitions in pages. */

export type PageOf = { readonly limit: number; readonly after?: string | undefined };
type Parts = readonly ReadPart[];

/** The rows that a list reads at a time, so that a page that ends at its size limit reads few rows beyond it. */
const STEP_ROWS = 50;

/** VMs in the order of their UUIDs. */
export async function listVms(parts: Parts, { limit, after }: PageOf, at?: number): Promise<ItemPage> {
  const lists = await readAt(parts, at, ({ db }) => vmsOf(db, limit, after?.toLowerCase()));
  const [only] = lists;
  if (only !== undefined && lists.length === 1) return only.page();
  // A list that ended at its size limit lacks the VMs after its last one, so the page must end there too.
  const ends = lists.flatMap((list) => list.cutAfter ?? []).sort();
  const all = lists.flatMap(({ items }) => items).sort((a, b) => (a.key < b.key ? -1 : 1));
  const page = new PageBuilder(limit);
  for (const item of all) {
    if (ends[0] !== undefined && item.key > ends[0]) {
      page.cut();
      break;
    }
    if (!page.add(item)) break;
  }
  return page.page();
}

function vmsOf(db: ReadPart['db'], limit: number, after = ''): PageBuilder {
  const page = new PageBuilder(limit);
  for (let from = after; ; ) {
    const rows = vmStatus(db, undefined, { limit: STEP_ROWS, after: from });
    for (const row of rows) if (!page.add({ key: row.vm, text: JSON.stringify(row) })) return page;
    const last = rows.at(-1);
    if (last === undefined || rows.length < STEP_ROWS) return page;
    from = last.vm;
  }
}

/**
 * Attempts by partition, then by start. `after` is an attempt id.
 * @throws Fault BAD_REQUEST when `after` is not a known attempt.
 */
export async function listMigrations(
  parts: Parts,
  { limit, after }: PageOf,
  { vm, at }: { vm?: string | undefined; at?: number | undefined },
): Promise<ItemPage> {
  const begun = after === undefined ? 0 : parts.findIndex(({ db }) => attemptState(db, after) !== null);
  if (begun === -1) {
    const remedy = 'Use the `next` of a page.';
    throw new Fault('BAD_REQUEST', `after: there is no attempt ${JSON.stringify(after)}`, remedy);
  }
  const rest = parts.slice(begun);
  const page = new PageBuilder(limit);
  await readAt(rest, at, ({ db, part }) => {
    if (page.isFull) return;
    const isFirst = part === rest[0] && after !== undefined;
    for (const view of eachMigration(db, vm, { limit, ...(isFirst ? { after } : {}) }))
      if (!page.add({ key: view.migration, text: JSON.stringify(view) })) return;
  });
  return page.page();
}

/** Dead letters by partition, oldest first. `after` is a position. @throws Fault BAD_REQUEST. */
export function listDeadLetters(parts: Parts, { limit, after }: PageOf): ItemPage {
  const page = new PageBuilder(limit);
  for (const part of parts) addDeadLetters(part, after, parts, page);
  return page.page();
}

function addDeadLetters({ db }: ReadPart, after: string | undefined, parts: Parts, page: PageBuilder): void {
  let from = after === undefined ? '0:0' : formatPosition(positionIn(parts, after, 'after'));
  while (!page.isFull) {
    const rows = deadLetters(db, { limit: STEP_ROWS, after: from });
    for (const row of rows) if (!page.add({ key: row.position, text: JSON.stringify(row) })) return;
    const last = rows.at(-1);
    if (last === undefined || rows.length < STEP_ROWS) return;
    from = last.position;
  }
}

/** Returns all hosts by name. Every partition has facts of every host, so the first record of a host is used. */
export function listHosts(parts: readonly Pick<ReadPart, 'db'>[]): HostRecord[] {
  const byName = new Map<string, HostRecord>();
  for (const { db } of parts) {
    for (const record of hostRecords(db)) {
      const key = `${record.clock}\0${record.host}`;
      if (!byName.has(key)) byName.set(key, record);
    }
  }
  return [...byName.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
}
