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
    'This is a defect of Landfall: please report it, with what LANDFALL_DEBUG=1 prints besides. The ledger keeps what was committed.',
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
  const message = what === null ? error.message.replace(`${code}: `, '') : `${path ?? 'it'} ${what}`;
  return new Fault(code, message, remedy, error);
}

const systemWords: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  ENOENT: ['does not exist', 'Check the path.'],
  EISDIR: ['is a folder', 'Name a file in it.'],
  ENOTDIR: ['goes through something that is no folder', 'Check the path.'],
  EEXIST: ['is a file, and a folder is needed there', 'Name another path.'],
  EACCES: ['may not be used by this user', 'Check its permissions.'],
  EPERM: ['may not be used by this user', 'Check its permissions.'],
  EROFS: ['is on a read-only disk', 'Name another path.'],
  ENOSPC: ['is on a full disk', 'Free some space; what was committed is kept.'],
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
    'landfall audit says what differs; landfall rebuild makes the projections anew.',
    error,
  );
}
