import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Fault, messageOf } from '../../events/fault.ts';

/**
 * Creates the folder of a ledger file with its missing parents. The recursive mkdir of Node does not end in a file system that
 * refuses new folders with ENOENT, such as /proc.
 * @throws Fault LEDGER_MISSING if a folder cannot be created.
 */
export function createFolderOf(file: string): void {
  const missing: string[] = [];
  let folder = dirname(resolve(file));
  for (; !existsSync(folder) && folder !== dirname(folder); folder = dirname(folder)) missing.unshift(folder);
  if (!statSync(folder).isDirectory()) throw notCreated(`${folder} is not a folder`);
  for (const name of missing) create(name);
}

function create(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have created the folder meanwhile.
    if (existsSync(folder)) return;
    throw notCreated(messageOf(error), error);
  }
}

function notCreated(reason: string, cause?: unknown): Fault {
  const remedy = 'Create the folder, or name a file in another folder.';
  return new Fault('LEDGER_MISSING', `the folder of the ledger cannot be created: ${reason}`, remedy, cause);
}
