import type { DatabaseSync } from 'node:sqlite';
import type { Command } from 'commander';
import { Fault } from '../../events/fault.ts';
import { statusTexts } from '../../machines/status-words.ts';
import { table } from '../../machines/table.ts';
import { attemptState, migrations } from '../../projections/attempts.ts';
import { deadLetters } from '../../projections/site.ts';
import { timelineOf } from '../../projections/timeline.ts';
import { vmRecord, vmStatus, vmsNamed } from '../../projections/vms.ts';
import type { Io } from '../io.ts';
import { withLedger, withLedgerAsOf, verifiedEntries } from '../ledger-file.ts';
import { deadLettersTable } from '../render/dead-letters.ts';
import { explain } from '../render/explain.ts';
import { history } from '../render/history.ts';
import { migrationsTable } from '../render/migrations.ts';
import { statusDetail, statusTable } from '../render/status.ts';
import { type Explained, Remote } from '../remote.ts';
import { atOption, dbOption, examples, jsonOption, type ReadOptions, serverOption } from './options.ts';

/** Defines the commands that read projections, now or at a past time. */

export function addStatus(program: Command, io: Io): void {
  program
    .command('status')
    .summary('shows hosts, lock owners and certainty of VMs')
    .description('Shows host, lock owners, certainty and open attempt of all VMs or of one VM, now or at a past time.')
    .argument('[vm]', 'the UUID or name of a VM')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['landfall status', 'all VMs'],
        ['landfall status vm1 --at 2026-11-23T02:14:00Z', 'the state of vm1 at 02:14'],
      ),
    )
    .action(async (vm: string | undefined, options: ReadOptions) => {
      const found =
        options.server === undefined
          ? await withLedgerAsOf(options.db, options.at, ({ db }) => vmStatus(db, vm))
          : await new Remote(options.server, io.env).vms(vm, options.at);
      if (vm !== undefined && found.length === 0) throw vmNotFound(vm);
      if (options.json === true) return io.out(JSON.stringify(found));
      const one = vm === undefined || found.length !== 1 ? undefined : found[0];
      io.out(one === undefined ? statusTable(found, io.style) : statusDetail(one, io.style));
    });
}

const statusHelp = Object.entries(statusTexts)
  .map(([status, text]) => `${status}: ${text}`)
  .join('\n');

export function addMigrations(program: Command, io: Io): void {
  program
    .command('migrations')
    .summary('lists the migration attempts with status and verdict')
    .description(
      `Lists every migration attempt with its status, its verdict and the deciding row of the verdict table.\n\n${statusHelp}`,
    )
    .argument('[vm]', 'the UUID or name of a VM; without it, all VMs')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(['landfall migrations --json | jq ".[] | select(.contested)"', 'the attempts that need an operator']),
    )
    .action(async (vm: string | undefined, options: ReadOptions) => {
      const { items, vms } = await migrationsOf(vm, options, io);
      if (options.json === true) return io.out(JSON.stringify(items));
      io.out(migrationsTable(items, io.style, new Map(vms.map((status) => [status.vm, status.name]))));
    });
}

/** Returns the attempts and the VMs with their names. */
async function migrationsOf(vm: string | undefined, { db: file, server, at }: ReadOptions, io: Io) {
  if (server === undefined) {
    return withLedgerAsOf(file, at, ({ db }) => {
      if (vm !== undefined && vmsNamed(db, vm).length === 0) throw vmNotFound(vm);
      return { items: migrations(db, vm), vms: vmStatus(db) };
    });
  }
  const remote = new Remote(server, io.env);
  const vms = await remote.vms(vm, at);
  if (vm !== undefined && vms.length === 0) throw vmNotFound(vm);
  return { items: await remote.migrations(vm, at), vms };
}

export function addExplain(program: Command, io: Io): void {
  program
    .command('explain')
    .summary('explains one attempt: questions, answers, verdict, steps')
    .description(
      'Explains one attempt: the questions, the answer of each host, the row of the verdict table with its reason, and the steps.',
    )
    .argument('<attempt>', 'the id of an attempt, from landfall migrations')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['landfall explain m-1', 'the reasons of the verdict on m-1']))
    .action(async (attempt: string, options: ReadOptions) => {
      const { server } = options;
      const found =
        server === undefined
          ? await explained(options.db, attempt)
          : await new Remote(server, io.env).explained(attempt);
      const { state, timers, entries, name } = found;
      if (options.json === true) {
        return io.out(JSON.stringify({ state, timers, entries: entries.map(({ text: _text, ...stored }) => stored) }));
      }
      const verdict = state.attempt.verdicts.at(-1);
      const row = table.find((candidate) => candidate.id === (verdict?.row ?? state.attempt.waiting?.row));
      io.out(explain({ state, entries, row, name }, io.style));
    });
}

async function explained(file: string, attempt: string): Promise<Explained> {
  return withLedger(file, async ({ db, ledger }) => {
    const found = attemptState(db, attempt);
    if (found === null)
      throw new Fault(
        'UNKNOWN_ATTEMPT',
        `there is no attempt ${JSON.stringify(attempt)}`,
        'Run landfall migrations to list the attempts.',
      );
    const entries = await Array.fromAsync(verifiedEntries(ledger.readMigration(attempt)));
    return { ...found, entries, name: vmRecord(db, found.state.attempt.vm)?.name ?? null };
  });
}

export function addHistory(program: Command, io: Io): void {
  program
    .command('history')
    .summary('shows the timeline of a VM')
    .description('Shows all events of a VM in time order, with one lane per host and one for the lock.')
    .argument('<vm>', 'the UUID or name of a VM')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .option('--brief', 'fold questions and answers into rounds')
    .addHelpText(
      'after',
      examples(
        ['landfall history vm1', 'all events of vm1, oldest first'],
        ['landfall history vm1 --brief', 'one line for each round of questions'],
      ),
    )
    .action(async (vm: string, options: ReadOptions & { brief?: boolean }) => {
      const found = await historyOf(vm, options, io);
      const brief = options.brief === true;
      io.out(options.json === true ? JSON.stringify(found.items) : history(found, io.style, { brief }));
    });
}

async function historyOf(vm: string, { db: file, server, at }: ReadOptions, io: Io) {
  if (server === undefined) {
    return withLedger(file, async ({ db, ledger }) => {
      const id = requireOneVm(db, vm);
      const items = await timelineOf(verifiedEntries(ledger.readVm(id)), id, at);
      return { vm: id, name: vmRecord(db, id)?.name ?? null, items };
    });
  }
  const remote = new Remote(server, io.env);
  const items = await remote.history(vm, at);
  const [status] = await remote.vms(vm);
  return { vm: status?.vm ?? vm, name: status?.name ?? null, items };
}

export function addDeadLetters(program: Command, io: Io): void {
  program
    .command('dead-letters')
    .summary('lists refused inputs with their reasons')
    .description('Lists every refused or unreadable input with its source, its reason and its first bytes.')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .action(async ({ db: file, server, json }: ReadOptions) => {
      const letters =
        server === undefined
          ? await withLedger(file, ({ db }) => deadLetters(db))
          : await new Remote(server, io.env).deadLetters();
      io.out(json === true ? JSON.stringify(letters) : deadLettersTable(letters, io.style));
    });
}

/** Returns the id of the only VM with this UUID or name. @throws Fault UNKNOWN_VM, AMBIGUOUS_VM. */
function requireOneVm(db: DatabaseSync, vm: string): string {
  const [id, ...others] = vmsNamed(db, vm);
  if (id === undefined) throw vmNotFound(vm);
  if (others.length === 0) return id;
  throw new Fault(
    'AMBIGUOUS_VM',
    `${others.length + 1} VMs are called ${JSON.stringify(vm)}: ${[id, ...others].join(', ')}`,
    'Use the UUID of one of them.',
  );
}

function vmNotFound(vm: string): Fault {
  return new Fault('UNKNOWN_VM', `the ledger has no VM ${JSON.stringify(vm)}`, 'Run landfall status to list the VMs.');
}
