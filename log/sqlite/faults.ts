import { closeSync, openSync, readSync } from 'node:fs';
import { Fault, messageOf } from '../../events/fault.ts';
import { type BreakReason, ChainFault } from '../chain.ts';
import type { Position } from '../port.ts';

/** SQLite's result codes (sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const NOTADB = 26;
/** SQLite reports this code if the disk is full when the shared-memory file grows. */
const IOERR_SHMSIZE = 4874;
/** The length of the header at the start of an SQLite file. */
const HEADER_BYTES = 100;

export const DAMAGE_REMEDY = 'Keep the file for an examination and continue from a backup.';

/** A fault as plain data, because classes are lost between threads. */
export type PlainFault = {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly cause: string | null;
  readonly broken: { readonly position: Position; readonly reason: BreakReason; readonly detail: string } | null;
};

export function plainFault(fault: Fault): PlainFault {
  const { code, message, remedy, cause } = fault;
  const broken = fault instanceof ChainFault ? brokenOf(fault) : null;
  return { code, message, remedy, cause: cause === undefined ? null : messageOf(cause), broken };
}

function brokenOf({ position, reason, message }: ChainFault) {
  return { position, reason, detail: message.slice(message.indexOf(': ') + 2) };
}

export function revivedFault({ code, message, remedy, cause, broken }: PlainFault): Fault {
  if (broken !== null) return new ChainFault(broken.position, broken.reason, broken.detail, cause ?? undefined);
  return new Fault(code, message, remedy, cause ?? undefined);
}

/** Maps an SQLite error to a fault of the ledger. */
export function sqliteFault(error: unknown, file: string): Fault {
  if (error instanceof Fault) return error;
  const code = resultCode(error);
  if (code === IOERR_SHMSIZE) return full(file, error);
  switch (code & 0xff) {
    case BUSY:
    case LOCKED:
      return new Fault('LEDGER_BUSY', `${file} is locked by another process`, 'Stop that process, or wait.', error);
    case READONLY:
      return notWritable(file, error);
    case CORRUPT:
      return damaged(file, messageOf(error), error);
    case FULL:
      return full(file, error);
    case NOTADB:
      return hasEmptyHeader(file)
        ? damaged(file, 'its first page contains only zeros', error)
        : notALedger(file, 'it is not an SQLite file', error);
    default:
      return new Fault(
        'LEDGER_FAILED',
        `${file}: ${messageOf(error)}`,
        'See the cause; the disk may be failing.',
        error,
      );
  }
}

/**
 * Maps the error of a failed COMMIT to a fault. After an I/O error the commit record may be on disk or not; the next claim
 * settles this.
 */
export function commitFault(error: unknown, file: string): Fault {
  const code = resultCode(error);
  if (code === IOERR_SHMSIZE || (code & 0xff) !== IOERR) return sqliteFault(error, file);
  return outcomeUnknown(file, error);
}

export function outcomeUnknown(file: string, cause: unknown): Fault {
  return new Fault(
    'LEDGER_OUTCOME_UNKNOWN',
    `${file}: the outcome of a commit is unknown: ${messageOf(cause)}`,
    'Claim the partition again and read the outcome from its head.',
    cause,
  );
}

function damaged(file: string, reason: string, cause: unknown): Fault {
  return new Fault('LEDGER_DAMAGED', `${file} is cut off or damaged: ${reason}`, DAMAGE_REMEDY, cause);
}

/** Returns true if the header of an SQLite file was overwritten with zeros. No file of another format begins like this. */
function hasEmptyHeader(file: string): boolean {
  const header = Buffer.alloc(HEADER_BYTES, 1);
  try {
    const descriptor = openSync(file, 'r');
    try {
      readSync(descriptor, header);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
  return header.every((byte) => byte === 0);
}

export function notWritable(file: string, cause?: unknown): Fault {
  return new Fault(
    'LEDGER_READ_ONLY',
    `${file} or its folder is not writable`,
    'Give this user the right to write the file and its folder, or name another file.',
    cause,
  );
}

export function notALedger(file: string, reason: string, cause?: unknown): Fault {
  return new Fault(
    'LEDGER_NOT_A_LEDGER',
    `${file} is not a ledger of Landfall: ${reason}`,
    'Name another file; this one was left as it is.',
    cause,
  );
}

function full(file: string, cause: unknown): Fault {
  return new Fault('LEDGER_FULL', `the disk of ${file} is full`, 'Free some space; nothing was lost.', cause);
}

function resultCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
}
