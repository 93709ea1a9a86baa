import type { Command } from 'commander';
import { type CheckResult, checkMachine } from '../machine-checks.ts';
import { FindingExit, type Io } from '../io.ts';
import type { Style } from '../render/style.ts';
import { cell, table } from '../render/table.ts';
import { message } from '../render/text.ts';
import { addKafkaOptions, addSettingOptions, type SettingFlags, settingsOf } from '../settings.ts';
import { examples, jsonOption } from './options.ts';

/** Defines `landfall doctor`: reports missing requirements of this machine. */

export function addDoctor(program: Command, io: Io): void {
  addSettingOptions(addKafkaOptions(program.command('doctor')))
    .summary('checks the requirements of the service on this machine')
    .description(
      'Checks the requirements of the service with these settings: Node, SQLite, a writable folder with free space, the ledger ' +
        'and its writer, and the configured brokers with their topics. The exit code is 1 if a requirement is missing.',
    )
    .option('--db <file>', 'the ledger file')
    .addOption(jsonOption())
    .addHelpText('after', examples(['landfall doctor', 'before the first start, or after a failed start']))
    .action(async ({ json, ...flags }: SettingFlags & { json?: true }) => {
      const checked = await checkMachine(settingsOf(flags, io));
      io.out(json === true ? JSON.stringify(checked) : checkedTable(checked, io.style));
      if (checked.some(({ state }) => state === 'missing')) throw new FindingExit('a requirement is missing');
    });
}

const columns = [{ header: '' }, { header: 'WHAT' }, { header: 'FOUND', flex: true }] as const;
const marks = { good: cell('✔', 'good'), missing: cell('✗', 'bad'), absent: cell('–', 'dim') };

function checkedTable(checked: readonly CheckResult[], style: Style): string {
  const rows = checked.map(({ what, state, found, remedy }) => [
    marks[state],
    what,
    message(remedy === '' ? found : `${found}. ${remedy}`),
  ]);
  return table(columns, rows, style);
}
