import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { Fault } from '../../events/fault.ts';
import { connectTo } from '../../kafka/client.ts';
import { importLedger } from '../../log/kafka/import.ts';
import { initTopics, replicationOf } from '../../kafka/topics.ts';
import { SqliteLedger } from '../../log/sqlite/ledger.ts';
import { MACHINE_VERSION } from '../../machines/version.ts';
import { backtest } from '../../policies/backtest.ts';
import type { Io } from '../io.ts';
import { DEFAULT_FILE } from '../ledger-file.ts';
import { repositionInputs } from './reposition-inputs.ts';
import { backtestText } from '../render/backtest.ts';
import { plural } from '../render/text.ts';
import { addKafkaOptions, addSettingOptions, requireKafka, type SettingFlags, settingsOf } from '../settings.ts';
import { withReplica, withTopicWriter } from '../topic-ledger.ts';
import { shippedRecordings } from './demo.ts';
import { ingestFiles } from './ingest.ts';
import { emptyOption, examples } from './options.ts';
import { auditTopic, type TopicAuditOptions } from './topic-audit.ts';

/** Defines `landfall kafka`: creates topics, imports a ledger, plays recordings and audits the topics. */

export function addKafka(program: Command, io: Io): void {
  const kafka = program
    .command('kafka')
    .summary('topics, import and audit of a ledger on Kafka')
    .description('Makes, fills and checks the topics of several instances; docs/kafka.md tells how they work.');
  addInit(kafka, io);
  addImport(kafka, io);
  addPlay(kafka, io);
  addAcceptLoss(kafka, io);
  withAccess(kafka.command('audit'))
    .summary('the topic itself: chain, verdicts, and this machine’s copy')
    .description(
      'Reads the whole ledger topic into a folder that is thrown away: the hash chain of every partition, every verdict decided ' +
        'again, and this machine’s copy and projections against it. Exit code 1 on any finding.',
    )
    .option('--json', 'JSON for scripts')
    .option('--head <heads>', 'the heads that an earlier audit printed, joined by commas')
    .action((flags: TopicAuditOptions) => auditTopic(flags, io));
}

function withAccess(command: Command): Command {
  return addSettingOptions(addKafkaOptions(command)).option('--db <file>', 'the copies lie beside it');
}

type AcceptFlags = SettingFlags & { reason: string; operator: string; madeAnew?: 'begin' | 'end' };

function addAcceptLoss(kafka: Command, io: Io): void {
  withAccess(kafka.command('accept-loss'))
    .summary('goes on where the topic of inputs is not as the ledger expects it')
    .description(
      'Where an instance says INPUTS_LOST: names the inputs that the topic no longer has, and lets their partition go on behind ' +
        'them. Where it says INPUTS_ALTERED and the topic cannot be brought back: goes on with the one that is there. Who did it ' +
        'and why is kept in the ledger. Nothing else is changed; the instances may run.',
    )
    .requiredOption('--reason <text>', 'why nothing can be brought back')
    .option('--operator <name>', 'who decides', process.env['USER'] ?? 'operator')
    .addOption(
      new Option(
        '--made-anew <where>',
        'go on at the beginning, or behind the end, of a topic that was made anew',
      ).choices(['begin', 'end']),
    )
    .action(({ reason, operator, madeAnew, ...flags }: AcceptFlags) => {
      if (reason === '') throw emptyOption('reason');
      const access = requireKafka(settingsOf(flags, io));
      const acceptance = { reason, operator, ...(madeAnew === undefined ? {} : { madeAnew }) };
      return temporarily((folder) =>
        repositionInputs({ ...access, folder, clientId: `${access.clientId}.accept` }, acceptance, io),
      );
    });
}

type InitFlags = SettingFlags & { partitions: string; replicationFactor: string; minInsyncReplicas: string };

function addInit(kafka: Command, io: Io): void {
  withAccess(kafka.command('init'))
    .summary('makes the topics, or checks them')
    .description('Makes the topics that are missing, and refuses in words where one is not as it must be.')
    .option('--partitions <number>', 'of inputs and ledger; never changed in place', '12')
    .option('--replication-factor <number>', 'copies of each record', '3')
    .option('--min-insync-replicas <number>', 'copies that acknowledge it', '2')
    .addHelpText(
      'after',
      examples(
        ['landfall kafka init --kafka-brokers b1:9092,b2:9092,b3:9092', 'for three brokers'],
        [
          'landfall kafka init --kafka-brokers :9092 --replication-factor 1 --min-insync-replicas 1',
          'to try it on one',
        ],
      ),
    )
    .action(async ({ partitions, replicationFactor, minInsyncReplicas, ...flags }: InitFlags) => {
      const access = requireKafka(settingsOf(flags, io));
      const plan = {
        prefix: access.prefix,
        partitions: countIn('--partitions', partitions),
        replicationFactor: countIn('--replication-factor', replicationFactor),
        minInsyncReplicas: countIn('--min-insync-replicas', minInsyncReplicas),
      };
      const { made, present } = await initTopics(connectTo(access), plan);
      for (const topic of made) io.out(`made     ${topic}`);
      for (const topic of present) io.out(`as it must be  ${topic}`);
    });
}

function countIn(option: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Fault('BAD_OPTION', `${option}: ${JSON.stringify(text)} is no count`, 'Give a whole number from 1 on.');
}

type ImportFlags = SettingFlags & { db?: string };

function addImport(kafka: Command, io: Io): void {
  withAccess(kafka.command('import'))
    .summary('moves an embedded ledger into the topics')
    .description(
      'Puts every entry of a ledger file into the partition of its VM, to the letter; what concerns the site goes to all of them. ' +
        'Tokens, deadlines and remembered identities go on there. No instance may run meanwhile. An import that was interrupted ' +
        'is finished by running it again. The file is marked as moved: it can be read, and nothing goes on with it.',
    )
    .addHelpText('after', examples(['landfall kafka import --db .landfall/ledger.db --kafka-brokers b1:9092', 'once']))
    .action(async (flags: ImportFlags) => {
      const access = requireKafka(settingsOf(flags, io));
      const file = flags.db ?? io.env['LANDFALL_DB'] ?? DEFAULT_FILE;
      // The import opens the file as its only writer, so that no entry is added during the import.
      const source = await SqliteLedger.open({
        file,
        mode: 'write',
        machineVersion: MACHINE_VERSION,
        movingTo: access.prefix,
      });
      try {
        await temporarily(async (folder) =>
          // Each import needs its own client id: two imports with one id would divide the partitions between them.
          withReplica(
            { ...access, folder, clientId: `${access.clientId}.import.${folder.slice(-6)}` },
            async (ledger) => {
              const { read, written } = await importLedger({ access, ledger, source });
              io.out(
                `${plural(read, 'entry', 'entries')} read and verified, ${written} written to ${ledger.partitions} partitions`,
              );
            },
          ),
        );
      } finally {
        await source.close();
      }
      io.out('Compared with the file: nothing is lost, and every text is as it was. The instances can be started.');
    });
}

function addPlay(kafka: Command, io: Io): void {
  withAccess(kafka.command('play'))
    .summary('recordings through topics of their own')
    .description(
      'Plays recordings, by default those that are shipped, through the topics PREFIX-demo.…: instances show them under ?ledger=demo.',
    )
    .argument('[file...]', 'recorded migrations, ndjson')
    .action(async (files: string[], flags: SettingFlags) => {
      const settings = settingsOf(flags, io);
      const live = requireKafka(settings);
      const replicas = await replicationOf(connectTo(live), `${live.prefix}.ledger`);
      const access = requireKafka({ ...settings, kafkaPrefix: `${settings.kafkaPrefix}-demo` });
      const plan = { prefix: access.prefix, partitions: 1, ...replicas };
      await initTopics(connectTo(access), plan);
      await temporarily(async (folder) => {
        const options = { db: '', apart: true, verify: true } as const;
        const report = await ingestFiles(files.length > 0 ? files : shippedRecordings(), options, io, (work) =>
          withTopicWriter({ ...access, folder, clientId: `${access.clientId}.play` }, async (driver, ledger) => {
            const done = await work(driver, ledger);
            await driver.flush();
            return done;
          }),
        );
        await withReplica({ ...access, folder, clientId: `${access.clientId}.play` }, async (ledger) =>
          io.out(`\n${backtestText(await backtest(ledger.read(0, 1), report.endings), io.style)}`),
        );
      });
    });
}

async function temporarily<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-copy-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
