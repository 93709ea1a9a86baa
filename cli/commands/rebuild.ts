import type { Command } from 'commander';
import { Fault } from '../../events/fault.ts';
import { ChainFault } from '../../log/chain.ts';
import { DAMAGE_REMEDY } from '../../log/sqlite/faults.ts';
import { pageDamageIn } from '../../log/sqlite/page-damage.ts';
import { isDamage } from '../../projections/audit.ts';
import { FindingExit, type Io } from '../io.ts';
import { rebuildFile } from '../ledger-file.ts';
import { targetsTopic } from '../ledger-target.ts';
import { faultText } from '../render/errors.ts';
import { deleteReplica, withReplica } from '../topic-ledger.ts';
import { requireKafka, type SettingFlags, settingsOf } from '../settings.ts';
import { dbOption } from './options.ts';

/** Defines `landfall rebuild`. */

export function addRebuild(program: Command, io: Io): void {
  program
    .command('rebuild')
    .summary('rebuilds the projections from the ledger')
    .description(
      'Computes the projections from the ledger entries and replaces the old ones in one transaction. With --kafka-brokers, ' +
        'deletes this machine’s replica and reads it again from the topic. Makes no decisions and sends nothing. ' +
        'The exit code is 1 if the ledger is damaged or altered.',
    )
    .addOption(dbOption())
    .option('--kafka-brokers <host:port,...>', 'read this machine’s replica again from the topic')
    .option('--kafka-prefix <name>', 'the prefix of the topic names')
    .action(async (options: SettingFlags & { db: string }, command: Command) => {
      if (targetsTopic(options, command, io)) return refetchReplica(options, io);
      return rebuildCommand(options.db, io);
    });
}

async function rebuildCommand(file: string, io: Io): Promise<void> {
  const entries = await rebuiltOrFound(file, io);
  const damages = pageDamageIn(file);
  io.out(`rebuilt the projections from ${entries} entries`);
  if (damages.length > 0) {
    io.err(faultText(new Fault('LEDGER_DAMAGED', `${file} is damaged`, DAMAGE_REMEDY), io.errStyle));
    throw new FindingExit(damages.join('\n'));
  }
}

/** Rebuilds the projections. A damaged or altered ledger is a finding, because the rebuild verifies every entry. */
async function rebuiltOrFound(file: string, io: Io): Promise<number> {
  try {
    return await rebuildFile(file);
  } catch (error) {
    if (!(error instanceof ChainFault) && !isDamage(error)) throw error;
    io.err(faultText(error, io.errStyle));
    throw new FindingExit([...pageDamageIn(file), 'the projections were not rebuilt'].join('\n'));
  }
}

/** Deletes this machine's replica and resolves when it is read from the topic again. */
async function refetchReplica(flags: SettingFlags, io: Io): Promise<void> {
  const access = requireKafka(settingsOf(flags, io));
  await deleteReplica(access.folder);
  await withReplica(access, async (ledger) => {
    for (let partition = 0; partition < ledger.partitions; partition += 1) {
      const { head, fault } = ledger.replica(partition);
      if (fault !== null) throw fault;
      io.out(`partition ${partition}: ${head.sequence} entries`);
    }
  });
}
