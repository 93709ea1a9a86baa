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
    .summary('creates, fills and checks the topics of a ledger on Kafka')
    .description(
      'Creates, fills and checks the topics of a ledger with several instances; docs/kafka.md explains them.',
    );
  addInit(kafka, io);
  addImport(kafka, io);
  addPlay(kafka, io);
  addAcceptLoss(kafka, io);
  withAccess(kafka.command('audit'))
    .summary('checks the ledger topic and this machine’s replica')
    .description(
      'Reads the whole ledger topic into a temporary folder, checks the hash chain of every partition, decides every verdict ' +
        'again, and compares this machine’s replica and projections with the topic. The exit code is 1 if there is a finding.',
    )
    .option('--json', 'JSON for scripts')
    .option('--head <heads>', 'the heads that an earlier audit printed, separated by commas')
    .action((flags: TopicAuditOptions) => auditTopic(flags, io));
}

function withAccess(command: Command): Command {
  return addSettingOptions(addKafkaOptions(command)).option(
    '--db <file>',
    'the ledger file; the replicas are stored beside it',
  );
}

type AcceptFlags = SettingFlags & { reason: string; operator: string; madeAnew?: 'begin' | 'end' };

function addAcceptLoss(kafka: Command, io: Io): void {
  withAccess(kafka.command('accept-loss'))
    .summary('continues after lost inputs or a recreated inputs topic')
    .description(
      'After INPUTS_LOST: shows the inputs that the topic no longer has, and lets their partition continue after them. ' +
        'After INPUTS_ALTERED, if the topic cannot be restored: continues with the present topic (--made-anew). The ledger ' +
        'records the operator and the reason. Nothing else changes; the instances can keep running.',
    )
    .requiredOption('--reason <text>', 'the reason why the inputs cannot be restored')
    .option('--operator <name>', 'the name of the deciding operator', process.env['USER'] ?? 'operator')
    .addOption(
      new Option('--made-anew <where>', 'continue at the beginning or at the end of a recreated topic').choices([
        'begin',
        'end',
      ]),
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
    .summary('creates the topics or checks them')
    .description('Creates missing topics and reports an error for a topic with wrong settings.')
    .option('--partitions <number>', 'the number of partitions of inputs and ledger; it cannot be changed later', '12')
    .option('--replication-factor <number>', 'the number of copies of each record', '3')
    .option('--min-insync-replicas <number>', 'the number of copies that must acknowledge a record', '2')
    .addHelpText(
      'after',
      examples(
        ['landfall kafka init --kafka-brokers b1:9092,b2:9092,b3:9092', 'topics on three brokers'],
        [
          'landfall kafka init --kafka-brokers :9092 --replication-factor 1 --min-insync-replicas 1',
          'topics on a single test broker',
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
      for (const topic of made) io.out(`created  ${topic}`);
      for (const topic of present) io.out(`present  ${topic}`);
    });
}

function countIn(option: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Fault(
    'BAD_OPTION',
    `${option}: ${JSON.stringify(text)} is not a positive whole number`,
    'Give a whole number of 1 or more.',
  );
}

type ImportFlags = SettingFlags & { db?: string };

function addImport(kafka: Command, io: Io): void {
  withAccess(kafka.command('import'))
    .summary('moves an embedded ledger into the topics')
    .description(
      'Writes every entry of a ledger file unchanged into the partition of its VM; site-wide entries go to all partitions. ' +
        'Tokens, deadlines and remembered identities continue there. Stop all instances during the import. To finish an ' +
        'interrupted import, run it again. The file is marked as moved: it can still be read, but not written.',
    )
    .addHelpText(
      'after',
      examples(['landfall kafka import --db .landfall/ledger.db --kafka-brokers b1:9092', 'move the ledger once']),
    )
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
      io.out('The topics agree with the file: no entry is missing or changed. The instances can be started.');
    });
}

function addPlay(kafka: Command, io: Io): void {
  withAccess(kafka.command('play'))
    .summary('plays recordings through demo topics')
    .description(
      'Plays recordings (by default the shipped ones) through the topics PREFIX-demo.…; instances show them with ?ledger=demo.',
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
