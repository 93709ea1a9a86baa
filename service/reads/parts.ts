import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../events/fault.ts';
import type { Position } from '../../log/port.ts';
import type { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { attemptState } from '../../projections/attempts.ts';
import { vmsNamed } from '../../projections/vms.ts';

/** One partition of the ledger, with its file and its projections. An embedded ledger has one partition. */
export type Part = { readonly partition: number; readonly ledger: SqliteLedger; readonly db: DatabaseSync };
export type Reads = readonly Part[];

/** The members of a partition that reads use. */
export type ReadPart = Omit<Part, 'ledger'> & {
  readonly ledger: Pick<SqliteLedger, 'head' | 'read' | 'readUnparsed' | 'readVm' | 'readMigration'>;
};

/** The live ledger, or the demo ledger with the shipped recordings. */
export type Which = 'live' | 'demo';

/** Returns the partition of a VM, found by UUID or name. @throws Fault UNKNOWN_VM, AMBIGUOUS. */
export function partOfVm<P extends ReadPart>(parts: readonly P[], named: string): { part: P; vm: string } {
  const found = parts.flatMap((part) => vmsNamed(part.db, named).map((vm) => ({ part, vm })));
  const [first, ...others] = found;
  if (first === undefined) throw unknownVm(named);
  if (others.length === 0) return first;
  const message = `${others.length + 1} VMs have the name ${JSON.stringify(named)}`;
  throw new Fault('AMBIGUOUS', message, 'Use the UUID of the VM.');
}

/** Returns the partition that has this attempt. @throws Fault NOT_FOUND. */
export function partOfAttempt<P extends ReadPart>(parts: readonly P[], migration: string): P {
  const part = parts.find(({ db }) => attemptState(db, migration) !== null);
  if (part === undefined) throw unknownAttempt(migration);
  return part;
}

/** Parses a position returned by this service. @throws Fault BAD_REQUEST naming the field. */
export function positionIn(parts: readonly Pick<Part, 'partition'>[], text: string, field: string): Position {
  const match = /^(\d{1,5}):(\d{1,15})$/.exec(text);
  const position = { partition: Number(match?.[1]), sequence: Number(match?.[2]) };
  if (parts.some(({ partition }) => partition === position.partition)) return position;
  const remedy = 'Use the `next` of a page, or omit the field.';
  throw new Fault('BAD_REQUEST', `${field}: is not a position returned by this service`, remedy);
}

export const unknownVm = (vm: string): Fault =>
  new Fault('UNKNOWN_VM', `the ledger knows no VM ${JSON.stringify(vm)}`, 'GET /v1/vms lists the known VMs.');
export const unknownAttempt = (id: string): Fault =>
  new Fault('NOT_FOUND', `there is no attempt ${JSON.stringify(id)}`, 'GET /v1/migrations lists all attempts.');
