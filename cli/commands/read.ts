import type { DatabaseSync } from 'node:sqlite';
import type { Command } from 'commander';
import { Fault } from '../../events/fault.ts';
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
    .summary('where VMs are, who holds their locks, how sure that is')
    .description(
      'Host, lock owners, certainty and open attempt of every VM, or of one, now or as of a moment in the past.',
    )
    .argument('[vm]', 'a VM by its UUID or name')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['landfall status', 'all VMs'],
        ['landfall status vm1 --at 2026-11-23T02:14:00Z', 'where vm1 was at 02:14'],
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

export function addMigrations(program: Command, io: Io): void {
  program
    .command('migrations')
    .summary('every attempt: state, verdict, row')
    .description('Every migration attempt with its state, its verdict and the row of the table that decided.')
    .argument('[vm]', 'only those of one VM')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(['landfall migrations --json | jq ".[] | select(.contested)"', 'what waits for a person']),
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
    .summary('what was asked, what was answered, which row, what it did')
    .description(
      'One attempt in words: what was asked, what each host answered, which row of the table decided and why, and what followed.',
    )
    .argument('<attempt>', 'as landfall migrations lists it')
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['landfall explain m-1', 'why m-1 was decided as it was']))
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
        'landfall migrations lists them.',
      );
    const entries = await Array.fromAsync(verifiedEntries(ledger.readMigration(attempt)));
    return { ...found, entries, name: vmRecord(db, found.state.attempt.vm)?.name ?? null };
  });
}

export function addHistory(program: Command, io: Io): void {
  program
    .command('history')
    .summary('the timeline of a VM')
    .description('What happened to a VM, in a lane for each host and one for its lock.')
    .argument('<vm>', 'a VM by its UUID or name')
    .addOption(atOption())
    .addOption(dbOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText('after', examples(['landfall history vm1', 'everything about vm1, oldest first']))
    .action(async (vm: string, options: ReadOptions) => {
      const told = await historyOf(vm, options, io);
      io.out(options.json === true ? JSON.stringify(told.items) : history(told, io.style));
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
    .summary('inputs that were refused, and why')
    .description('Every input that was refused or could not be read, with its place, its reason and its first bytes.')
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
    'Name the one you mean by its UUID.',
  );
}

function vmNotFound(vm: string): Fault {
  return new Fault(
    'UNKNOWN_VM',
    `the ledger knows no VM ${JSON.stringify(vm)}`,
    'landfall status lists those it knows.',
  );
}
