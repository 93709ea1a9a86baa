import type { DatabaseSync } from 'node:sqlite';
import type { VmRecord } from '../events/records.ts';
import type { Certainty, Power } from '../events/vocabulary.ts';
import { type LockStatus, locksOf } from './locks.ts';
import { type AsOf, json, limitOf, map, type Page, standing, text } from './read-rows.ts';

/** An item of `status --json` and of `GET /v1/vms`. Scripts rely on the fields. */
export type VmStatus = {
  vm: string;
  name: string | null;
  zone: string | null;
  cluster: string | null;
  host: string | null;
  lastHost: string | null;
  certainty: Certainty;
  power: Power;
  locks: LockStatus[];
  migration: string | null;
  asOf: AsOf;
};

/** Returns the VMs with this UUID or name, or one page of all VMs. */
export function vmStatus(db: DatabaseSync, vm?: string, page: Page = {}): VmStatus[] {
  const asOf = standing(db);
  const make = (record: VmRecord) => toStatus(record, asOf);
  if (vm !== undefined) return [...recordsNamed(db, vm)].map(make);
  const sql = 'SELECT body FROM vms WHERE vm > ? ORDER BY vm LIMIT ?';
  return [...map(db, sql, [page.after ?? '', limitOf(page)], (row) => make(json(row, 'body')))];
}

export function vmRecord(db: DatabaseSync, vm: string): VmRecord | null {
  const row = db.prepare('SELECT body FROM vms WHERE vm = ?').get(vm.toLowerCase());
  return row === undefined ? null : json(row, 'body');
}

/** Returns the UUIDs of all VMs with this UUID or name. */
export function vmsNamed(db: DatabaseSync, vm: string): string[] {
  return [
    ...map(db, 'SELECT vm FROM vms WHERE vm = ? OR name = ? ORDER BY vm', [vm.toLowerCase(), vm], (row) =>
      text(row, 'vm'),
    ),
  ];
}

function recordsNamed(db: DatabaseSync, vm: string): Iterable<VmRecord> {
  return map(db, 'SELECT body FROM vms WHERE vm = ? OR name = ? ORDER BY vm', [vm.toLowerCase(), vm], (row) =>
    json<VmRecord>(row, 'body'),
  );
}

export function toStatus(record: VmRecord, asOf: AsOf): VmStatus {
  const { vm, name, zone, cluster, host, lastHost, certainty, power } = record;
  return {
    vm,
    name,
    zone,
    cluster,
    host,
    lastHost,
    certainty,
    power,
    locks: locksOf(record),
    migration: openOne(record),
    asOf,
  };
}

/** Returns the newest attempt if it is open, else another attempt that is not settled. */
function openOne({ open, lastMigration }: VmRecord): string | null {
  return lastMigration !== null && open.includes(lastMigration) ? lastMigration : (open.at(-1) ?? null);
}
