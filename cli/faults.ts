import { Fault, messageOf } from '../events/fault.ts';
import { sqliteFault } from '../log/sqlite/faults.ts';

/** Converts any thrown value into a Fault with a remedy. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (isSystemError(error)) return systemFault(error);
  if (isSqliteError(error)) return ledgerFault(error);
  return new Fault(
    'DEFECT',
    messageOf(error),
    'This is a bug in Landfall. Report it with the output under LANDFALL_DEBUG=1. Committed entries are not affected.',
    error,
  );
}

type SystemError = Error & { code: string; syscall: string; path?: string };

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && 'syscall' in error && typeof error.code === 'string';
}

/** Describes an error of the operating system; the Fault keeps its code. */
function systemFault(error: SystemError): Fault {
  const { code, path } = error;
  const [what, remedy] = systemWords[code] ?? [null, 'Check the path and its permissions.'];
  const message = what === null ? error.message.replace(`${code}: `, '') : `${path ?? 'the file'} ${what}`;
  return new Fault(code, message, remedy, error);
}

const systemWords: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  ENOENT: ['does not exist', 'Check the path.'],
  EISDIR: ['is a folder', 'Give a file in the folder.'],
  ENOTDIR: ['contains a file in place of a folder', 'Check the path.'],
  EEXIST: ['is a file, but a folder is needed', 'Give another path.'],
  EACCES: ['is not accessible to this user', 'Check its permissions.'],
  EPERM: ['is not accessible to this user', 'Check its permissions.'],
  EROFS: ['is on a read-only disk', 'Give another path.'],
  ENOSPC: ['is on a full disk', 'Free some space; committed entries are safe.'],
};

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
}

function ledgerFault(error: unknown): Fault {
  const fault = sqliteFault(error, 'the ledger');
  if (fault.code !== 'LEDGER_FAILED') return fault;
  return new Fault(
    fault.code,
    fault.message,
    'Run landfall audit to find the difference, or landfall rebuild to rebuild the projections.',
    error,
  );
}
