import { Option } from 'commander';
import { Fault } from '../../events/fault.ts';
import { DEFAULT_FILE, parseTime } from '../ledger-file.ts';

/** Defines the options that several commands share. */

export const dbOption = () => new Option('--db <file>', 'the ledger file').env('LANDFALL_DB').default(DEFAULT_FILE);
/** With --server, a command asks the service that has the ledger open. */
export const serverOption = () =>
  new Option('--server <url>', 'ask a running service instead of the file (token from LANDFALL_TOKEN)').env(
    'LANDFALL_SERVER',
  );
export const jsonOption = () => new Option('--json', 'JSON for scripts');
export const atOption = () =>
  new Option('--at <time>', 'the state at this time: ISO 8601, or milliseconds since the epoch').argParser(parseTime);

export type ReadOptions = { db: string; server?: string; json?: true; at?: number };

/** Returns the error for an option with an empty value. */
export const emptyOption = (name: string) =>
  new Fault('BAD_OPTION', `--${name} is empty`, `Give a text with --${name}.`);

/** Returns the examples section of a command's help. */
export function examples(...lines: [command: string, what: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, what]) => `  $ ${command.padEnd(width)}   ${what}`).join('\n')}\n`;
}
