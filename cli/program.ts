import tab from '@bomb.sh/tab/commander';
import { Command } from 'commander';
import { addAudit, addBacktest } from './commands/audit.ts';
import { addDemo } from './commands/demo.ts';
import { addDoctor } from './commands/doctor.ts';
import { addIngest } from './commands/ingest.ts';
import { addKafka } from './commands/kafka.ts';
import { addDeadLetters, addExplain, addHistory, addMigrations, addStatus } from './commands/read.ts';
import { addRebuild } from './commands/rebuild.ts';
import { addServe, addToken } from './commands/serve.ts';
import { addConfig, addResolve } from './commands/write.ts';
import type { Io } from './io.ts';
import { selectLedgerTarget } from './ledger-target.ts';
import { examples } from './commands/options.ts';

/** Returns the command tree of the command line, for running, help and shell completion. */
export function buildProgram(io: Io, version: string): Command {
  const program = new Command('landfall')
    .version(version)
    .description('Knows where a VM landed after a live-migration call failed, and can prove it from its ledger.')
    .helpOption('-h, --help', 'show help with examples')
    .addHelpText(
      'after',
      examples(
        ['landfall ingest recordings/abort.ndjson', 'decide a recorded migration'],
        ['landfall status', 'hosts and lock owners of all VMs'],
        ['landfall explain m-1', 'the reasons of a verdict'],
        ['landfall audit', 'check the ledger'],
      ) +
        '\nExit codes: 0 done, 1 a finding (audit, rebuild, doctor, or --fail-on contested), 2 wrong use or bad input.\n',
    )
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) })
    .showHelpAfterError('  hint: use --help to see commands and options')
    .exitOverride();
  addServe(program, io);
  addKafka(program, io);
  addToken(program, io);
  addIngest(program, io);
  addStatus(program, io);
  addMigrations(program, io);
  addExplain(program, io);
  addHistory(program, io);
  addAudit(program, io);
  addBacktest(program, io);
  addResolve(program, io);
  addConfig(program, io);
  addRebuild(program, io);
  addDeadLetters(program, io);
  addDemo(program, io);
  addDoctor(program, io);
  tab(program, { completionCommandName: 'completion' });
  for (const command of program.commands) inherit(command, program);
  return program.hook('preAction', (_, command) => selectLedgerTarget(command, io));
}

/** Copies the parent's settings to commands that were added by addCommand or command. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
